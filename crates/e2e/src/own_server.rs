use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::{PATIENCE, eventually, repository};

/// A server of PostgreSQL of a story's own, for what all databases of a server share. It goes with this value.
pub struct OwnServer {
    url: String,
    // It ends by itself, and takes its files along, when its stdin does.
    _testbed: Child,
    _says: BufReader<ChildStdout>,
}

impl OwnServer {
    /// Starts one, whose data is on a real disk, flushed as ever.
    pub async fn start() -> Result<Self> {
        let mut testbed = Command::new(repository().join("scripts/testbed"))
            .args(["--no-cluster", "sh", "-c"])
            .arg("echo \"$BROKKR_TEST_POSTGRES\"; exec cat")
            .env_remove("BROKKR_TEST_POSTGRES")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a server of PostgreSQL")?;
        let mut says = BufReader::new(testbed.stdout.take().context("a stdout")?);
        let mut url = String::new();
        says.read_line(&mut url).await?;
        Ok(Self {
            url: url.trim().to_owned(),
            _testbed: testbed,
            _says: says,
        })
    }

    /// What `--database` takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills one of its processes: the server believes none of the others any more, ends all connections, and starts anew from what its
    /// log has. Answers when it is there again.
    pub async fn crash(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        let pid = Pid::from_raw(pid).context("a process")?;
        let mut other = self.connect().await?;
        kill_process(pid, Signal::KILL)?;
        eventually("all connections end", PATIENCE, async || {
            let answer = sqlx::query("select 1").execute(&mut other).await;
            ensure!(answer.is_err(), "another connection goes on");
            Ok(())
        })
        .await?;
        eventually("it is there again", PATIENCE, async || {
            self.connect().await?.close().await?;
            Ok(())
        })
        .await
    }

    async fn connect(&self) -> Result<PgConnection> {
        // The address has a password in it, so no error may show it.
        PgConnection::connect(&self.url)
            .await
            .context("a server of PostgreSQL of our own")
    }
}
