//! `mentor serve`: answers HTTP requests with trained models.

mod served_run;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::builder::RangedI64ValueParser;
use mentor_server::http::{HttpLimits, HttpMetrics, HttpServer};
use mentor_server::{ModelSet, ServedModel, models_router};

use self::served_run::Loader;
use crate::device::DeviceChoice;
use crate::files::limits::ImageLimits;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::signals::Interruption;

const EXAMPLES: &str = "\
Examples:
  mentor serve runs/photos
      open http://127.0.0.1:8080/ and drop a picture on the page, or:
      curl --data-binary @photo.png http://127.0.0.1:8080/predict
  mentor serve runs/photos runs/faces --port 9000
      serve two models; /predict?model=faces asks the second
  mentor serve runs/faces --index photos/
      also answer /search with the pictures below photos/ that are nearest

POST /predict, /embed and /search take the bytes of a picture, or several as multipart/form-data, and answer \
JSON. /v2/models/NAME/infer is the Open Inference Protocol. GET /models, /metrics (Prometheus), \
/openapi.json. A model has the name of its run's directory.

SIGHUP loads the runs again, without losing a request. SIGINT and SIGTERM take no new requests, finish those \
that are there, and end with status 0; a second one ends at once. docs/server.md has the limits and their \
statuses.";

/// Numbers from 1 on.
fn up_to(most: u32) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=most.into())
}

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(50);

/// Answer HTTP requests with trained models
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "mentor serve <RUN>... [OPTIONS]")]
pub(crate) struct Args {
    /// Serve the models of these complete runs; the first answers requests that name none
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// Listen at this port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,

    /// Listen at this address; 0.0.0.0 is every address of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// Let /search find these pictures, by the first model: files, and folders with image files; or those of
    /// a Parquet file of mentor embed
    #[arg(long, value_name = "PATH", num_args = 1..)]
    index: Vec<PathBuf>,

    /// Refuse a request whose body is larger (413), in MiB, at least 1
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = up_to(2047))]
    max_body: u32,

    /// Answer at most this many requests at once, at least 1; further ones get 503
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = up_to(u32::MAX))]
    max_requests: u32,

    /// Hold at most this many connections, at least 1; further ones wait
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = up_to(u32::MAX))]
    max_connections: u32,

    /// Wait at most this many seconds for a body (408), and as long for its answer (503), at least 1
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = up_to(u32::MAX))]
    timeout: u32,

    #[command(flatten)]
    limits: ImageLimits,

    /// Compute on this device: cpu, wgpu[:i], vulkan[:i] or cuda[:i]
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,
}

impl Args {
    fn http_limits(&self) -> HttpLimits {
        let default = HttpLimits::default();
        let request_timeout = Duration::from_secs(self.timeout.into());
        HttpLimits {
            max_connections: self.max_connections as usize,
            max_requests: self.max_requests as usize,
            max_body_bytes: (self.max_body as usize) << 20,
            head_timeout: default.head_timeout.min(request_timeout),
            request_timeout,
            ..default
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let device = args.device.open()?;
    let loader = Loader::new(args.runs.clone(), args.index.clone(), args.limits, device.device)?;
    let models = Arc::new(ModelSet::new(loader.load()?).map_err(Failure::usage)?);
    let metrics = Arc::new(HttpMetrics::default());
    let router = models_router(Arc::clone(&models), Arc::clone(&metrics));
    let interruption = Interruption::watch().map_err(Failure::failed)?;
    let hangup = hangup().map_err(Failure::failed)?;
    let address = SocketAddr::new(args.host, args.port);
    let server = HttpServer::start(address, &args.http_limits(), metrics, router).map_err(|error| {
        let failure = Failure::failed(error).context(format!("cannot listen at {address}"));
        failure.help("choose another port with --port; 0 takes a free one")
    })?;
    say_where(&server, args.host);
    let mut reload: Option<JoinHandle<()>> = None;
    let (loader, models) = (Arc::new(loader), &models);
    while !interruption.flag().load(Ordering::Relaxed) {
        // One that comes while models are loaded is not lost: what is loaded may be older than it.
        let is_free = reload.as_ref().is_none_or(JoinHandle::is_finished);
        if is_free && hangup.swap(false, Ordering::Relaxed) {
            let (loader, models) = (Arc::clone(&loader), Arc::clone(models));
            reload = Some(thread::spawn(move || load_again(&loader, &models)));
        }
        thread::sleep(TICK);
    }
    output::note("finishing the requests that are there");
    server.stop();
    Ok(())
}

fn say_where(server: &HttpServer, host: IpAddr) {
    let address = server.address();
    if !host.is_loopback() {
        output::note(&format!(
            "warning: {host} is reached from other machines; there is no password and no encryption"
        ));
    }
    output::note(&format!("listening at http://{address}/ (Ctrl-C ends)"));
}

fn load_again(loader: &Loader, models: &ModelSet) {
    let replaced = loader.load().and_then(|loaded: Vec<Arc<dyn ServedModel>>| {
        let names: Vec<String> = loaded.iter().map(|model| model.description().name.clone()).collect();
        models.replace(loaded).map_err(Failure::usage)?;
        Ok(names)
    });
    match replaced {
        Ok(names) => output::note(&format!("loaded again: {}", names.join(", "))),
        Err(failure) => {
            let command = <Args as clap::Args>::augment_args(clap::Command::new("serve"));
            let text = failure.render(&command).unwrap_or_default();
            output::note(&format!("{text}\nthe models stay as they were"));
        }
    }
}

/// Set by SIGHUP.
fn hangup() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&flag))?;
    Ok(flag)
}
