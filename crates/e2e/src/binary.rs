use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::eventually;

/// The binary under test: built beforehand into the folder that this executable was built into.
pub fn brokkr() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("brokkr"));
    found
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "there is no `brokkr` near {}: cargo build -p brokkr",
                own.display()
            )
        })
}

/// Which build of the binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// The one under test.
    Tested,
    /// The same, which can be told to die at a fail point.
    Faulty,
    /// The newest release: what runs when a new version comes.
    Previous,
}

impl Build {
    pub(crate) fn path(self) -> Result<PathBuf> {
        let tested = brokkr()?;
        let name = match self {
            Self::Tested => return Ok(tested),
            Self::Faulty => "faulty",
            Self::Previous => "previous",
        };
        let target = tested.ancestors().nth(2).context("a target folder")?;
        let path = target.join(name).join("brokkr");
        ensure!(
            path.is_file(),
            "there is no {}: scripts/{name}",
            path.display()
        );
        Ok(path)
    }
}

/// Hides what the caller's environment says to the binary, and where the caller's own cluster is.
pub fn without_our_variables(command: &mut Command) -> &mut Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    let ours = names.filter(|name| {
        let name = name.to_string_lossy();
        // A build that knows defects is to have the one that the tests are tried with.
        name.starts_with("BROKKR_") && name != "BROKKR_MUTANT"
    });
    for name in ours.chain(["KUBECONFIG".into()]) {
        command.env_remove(name);
    }
    command
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// One run of a program. What it says on stderr is kept in a `.log`, shown when a story fails.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    stdout: PathBuf,
}

impl Process {
    /// Starts the binary under test, which dies with this value.
    pub fn brokkr(name: &str, arguments: &[&str], directory: &Path) -> Result<Self> {
        Self::of(Build::Tested, name, arguments, directory)
    }

    /// Starts one of the builds.
    pub(crate) fn of(
        build: Build,
        name: &str,
        arguments: &[&str],
        directory: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(build.path()?);
        Self::start(name, command.args(arguments), directory)
    }

    /// Starts the binary that dies at a fail point, `name:time`.
    pub(crate) fn faulty(
        name: &str,
        arguments: &[&str],
        directory: &Path,
        fail_point: &str,
    ) -> Result<Self> {
        let mut command = Command::new(Build::Faulty.path()?);
        command.args(arguments).env("BROKKR_FAILPOINT", fail_point);
        Self::start(name, &mut command, directory)
    }

    /// Starts a program, which dies with this value.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let stdout = directory.join(format!("{name}.out"));
        let child = without_our_variables(command)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(OpenOptions::new().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} did not start"))?;
        let name = name.to_owned();
        Ok(Self {
            name,
            child,
            log,
            stdout,
        })
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has ended", self.name))
    }

    /// How much memory it has at present, in bytes.
    pub fn memory(&self) -> Result<u64> {
        self.has("VmRSS:")
    }

    /// How much of that the system cannot take back, in bytes: what a limit of memory ends a process for.
    pub fn anonymous_memory(&self) -> Result<u64> {
        self.has("RssAnon:")
    }

    fn has(&self, what: &'static str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kilobytes.context(what)?.parse::<u64>()? * 1024)
    }

    /// The rest of the first line of its output that begins with `prefix`, as soon as there is one.
    pub async fn says(&mut self, prefix: &str) -> Result<String> {
        let what = format!("{} says `{prefix}…`", self.name);
        eventually(&what, Duration::from_secs(30), async || {
            let whole = self.said().await?;
            if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(prefix)) {
                return Ok(Ok(rest.to_owned()));
            }
            match self.child.try_wait()? {
                Some(status) => Ok(Err(status)),
                None => bail!("it said: {whole}"),
            }
        })
        .await?
        .map_err(|status| anyhow::anyhow!("{} ended with {status}", self.name))
    }

    /// All whole lines of its output so far.
    pub async fn said(&self) -> Result<String> {
        let said = tokio::fs::read_to_string(&self.stdout).await?;
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole.to_owned())
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("killing {}", self.name))
    }

    /// Stops it in the middle of whatever it does, as a machine that is overloaded or asleep.
    pub fn suspend(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.id()?)?;
        Ok(kill_process(
            Pid::from_raw(id).context("a process id")?,
            signal,
        )?)
    }

    /// All that it has said on stderr so far, in all its runs.
    pub async fn log(&self) -> Result<String> {
        Ok(tokio::fs::read_to_string(&self.log).await?)
    }

    /// Ctrl-C.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended
            .with_context(|| format!("{} did not end on SIGTERM", self.name))?
            .map_err(Into::into)
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Whether it still runs; an error says how it ended.
    pub fn is_alive(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{} ended by itself: {ended:?}", self.name);
        Ok(())
    }
}
