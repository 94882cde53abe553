//! What refusing bad keys costs, and whether its time tells an id that is known from one that is not.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_e2e::{Broker, Stage, cpu};
use data_encoding::BASE32_DNSSEC;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figure::{Figure, Must};
use crate::welch::Difference;

const RUNS: usize = 3;
/// Requests with each kind of key in a turn: CPU time is counted in hundredths of a second.
const TURN: u32 = 20_000;
/// Requests with each of the two kinds whose times are compared.
const PAIRS: u32 = 150_000;
/// Characters at the end of a key.
const CHECKSUM: usize = 7;
/// Behind this proxy, which we are, every bad key has an address of its own and is refused with 401: from one
/// address it would be 429 after the first hundred.
const PROXY: &[&str] = &["--trusted-proxy", "127.0.0.1/32"];

/// A bad key.
#[derive(Clone, Copy)]
enum Bad {
    /// It is cut.
    Malformed,
    /// A whole key that was never made.
    Unknown,
    /// The id of a key that is good, with another's secret.
    WrongSecret,
}

pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let broker = stage.broker_with("broker", PROXY).await?;
    let good = good_key(&broker).await?;
    let mut asker = Asker::connect(broker.address(), good).await?;
    let mut figures = Vec::new();
    for (name, bad, must) in [
        ("bad_key_malformed_us", Bad::Malformed, Must::AtMost(50.0)),
        ("bad_key_unknown_us", Bad::Unknown, Must::Nothing),
        ("bad_key_wrong_secret_us", Bad::WrongSecret, Must::Nothing),
    ] {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(asker.cpu_micros(&broker, bad).await?);
        }
        eprintln!("{name}: {runs:.2?}");
        figures.push(Figure::of(name, "µs", &runs, must));
    }
    let (mut gaps, mut chances) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let difference = asker.compare().await?;
        eprintln!("bad keys, run {run}: a wrong secret takes {difference}");
        gaps.push(difference.nanos);
        chances.push(difference.chance());
    }
    figures.push(Figure::of("bad_key_timing_ns", "ns", &gaps, Must::Nothing));
    figures.push(Figure::of("bad_key_timing_p", "p", &chances, Must::Nothing));
    Ok(figures)
}

/// The text of a key that a broker knows.
async fn good_key(broker: &Broker) -> Result<String> {
    let text = broker.new_agent("edge").await?;
    broker.client(&text)?.me().await?;
    Ok(text)
}

/// One connection, on which one request follows another.
struct Asker {
    stream: TcpStream,
    buffer: Vec<u8>,
    good: String,
    asked: u32,
}

impl Asker {
    async fn connect(address: SocketAddr, good: String) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
            good,
            asked: 0,
        })
    }

    /// CPU time of the broker for a request with such a key.
    async fn cpu_micros(&mut self, broker: &Broker, bad: Bad) -> Result<f64> {
        let process = broker.process().id()?;
        let before = cpu::seconds(process)?;
        for _ in 0..TURN {
            self.ask(bad).await?;
        }
        Ok((cpu::seconds(process)? - before) * 1e6 / f64::from(TURN))
    }

    /// How much longer a wrong secret takes than an unknown id. Both take turns, in an order that changes, so
    /// that whatever else the machine does meets both.
    async fn compare(&mut self) -> Result<Difference> {
        let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let order = if pair % 2 == 0 {
                [Bad::Unknown, Bad::WrongSecret]
            } else {
                [Bad::WrongSecret, Bad::Unknown]
            };
            for bad in order {
                let nanos = self.ask(bad).await?.as_secs_f64() * 1e9;
                match bad {
                    Bad::WrongSecret => wrong.push(nanos),
                    Bad::Unknown | Bad::Malformed => unknown.push(nanos),
                }
            }
        }
        Ok(Difference::between(&unknown, &wrong))
    }

    /// Sends a request, and fails if it is not refused as it should.
    async fn ask(&mut self, bad: Bad) -> Result<Duration> {
        self.asked += 1;
        // 10.0.0.0/8 has one for each.
        let address = Ipv4Addr::from_bits(0x0a00_0000 | (self.asked & 0x00ff_ffff));
        let request = format!(
            "GET /api/v1/me HTTP/1.1\r\nhost: broker\r\nx-forwarded-for: {address}\r\nauthorization: Bearer {}\r\n\r\n",
            self.key(bad)?
        );
        let start = Instant::now();
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await?;
        let took = start.elapsed();
        let is_refused = self.buffer.starts_with(b"HTTP/1.1 401");
        ensure!(
            is_refused,
            "not refused: {}",
            String::from_utf8_lossy(&self.buffer)
        );
        Ok(took)
    }

    fn key(&self, bad: Bad) -> Result<String> {
        // All made for each request of each kind: what one kind costs us more, the broker would idle longer before it,
        // and a processor that idled longer is slower to answer.
        let other = Pak::generate(Role::Agent, &System);
        let unknown = other.expose();
        let wrong = with_id_of(&self.good, unknown)?;
        Ok(match bad {
            Bad::Malformed => unknown[..unknown.len() - 1].to_owned(),
            Bad::Unknown => unknown.to_owned(),
            Bad::WrongSecret => wrong,
        })
    }

    /// Reads one answer into the buffer.
    async fn answer(&mut self) -> Result<()> {
        self.buffer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(count > 0, "the connection was closed");
            let head = self.buffer.windows(4).position(|end| end == b"\r\n\r\n");
            let Some(head) = head else { continue };
            let text = std::str::from_utf8(&self.buffer[..head])?;
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>())
            });
            let length = length.context("an answer without a length")??;
            if self.buffer.len() >= head + 4 + length {
                return Ok(());
            }
        }
    }
}

/// The id of one key with the secret of another, and a checksum that fits.
fn with_id_of(good: &str, other: &str) -> Result<String> {
    let (start, _) = good.rsplit_once('_').context("a key has parts")?;
    let (_, end) = other.rsplit_once('_').context("a key has parts")?;
    let secret = end.get(..end.len() - CHECKSUM).context("a secret")?;
    let body = format!("{start}_{secret}");
    let sum = BASE32_DNSSEC.encode(&crc32fast::hash(body.as_bytes()).to_be_bytes());
    Ok(format!("{body}{sum}"))
}
