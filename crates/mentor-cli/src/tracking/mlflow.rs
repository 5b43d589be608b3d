//! A run of an MLflow server, by its REST interface, version 2.0.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{anyhow, bail};
use mentor_run::{Config, RunDir, Started};
use serde_json::{Value, json};

use super::http::{Server, percent_encoded};
use super::sink::{End, Scalar, Sink, slug};

/// The file of the run directory that remembers the run of the server, so that a continued run goes on there.
const FILE: &str = "mlflow.json";
/// Parameters of one request, and letters of a value, at most; the server's own limits.
const MAX_PARAMS: usize = 100;
const MAX_VALUE: usize = 500;

/// A run of the server.
pub(super) struct Mlflow {
    server: Server,
    uri: String,
    out: std::path::PathBuf,
    run_id: String,
    /// Whether the run directory knows of the run of the server.
    is_kept: bool,
    stage: Option<String>,
}

impl Mlflow {
    /// Makes a run in the experiment of `MLFLOW_EXPERIMENT_NAME`, else `mentor`, or goes on with the one that
    /// the run directory `out` names.
    pub(super) fn open(server: Server, uri: &str, out: &Path, config: &Config) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(out.join(FILE)).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        let run_id = kept["run_id"].as_str().filter(|_| kept["uri"].as_str() == Some(uri));
        let (uri, out, stage) = (uri.to_owned(), out.to_owned(), None);
        if let Some(run_id) = run_id {
            let mlflow = Self { server, uri, out, run_id: run_id.to_owned(), is_kept: true, stage };
            let going_on = json!({ "run_id": mlflow.run_id, "status": "RUNNING" });
            mlflow.call("runs/update", Some(&going_on))?;
            return Ok(mlflow);
        }
        let mut mlflow = Self { server, uri, out, run_id: String::new(), is_kept: false, stage };
        let experiment = mlflow.experiment()?;
        let name = mlflow.out.file_name().unwrap_or_default().to_string_lossy();
        let run = json!({ "experiment_id": experiment, "run_name": name, "start_time": millis() });
        let made = mlflow.call("runs/create", Some(&run))?;
        mlflow.run_id = text_of(&made, "/run/info/run_id")?;
        let mut params = Vec::new();
        flatten("", &serde_json::to_value(config)?, &mut params);
        for params in params.chunks(MAX_PARAMS) {
            mlflow.call("runs/log-batch", Some(&json!({ "run_id": mlflow.run_id, "params": params })))?;
        }
        Ok(mlflow)
    }

    fn experiment(&self) -> anyhow::Result<String> {
        let name = std::env::var("MLFLOW_EXPERIMENT_NAME").unwrap_or_else(|_| "mentor".to_owned());
        let query = format!("experiments/get-by-name?experiment_name={}", percent_encoded(&name));
        let answer = self.server.request(&format!("/api/2.0/mlflow/{query}"), None)?;
        match answer.status {
            200 => text_of(&answer.body, "/experiment/experiment_id"),
            404 if answer.body["error_code"] == "RESOURCE_DOES_NOT_EXIST" => {
                let made = self.call("experiments/create", Some(&json!({ "name": name })))?;
                text_of(&made, "/experiment_id")
            }
            status => bail!("is no MLflow server: it answers {status}"),
        }
    }

    fn call(&self, what: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = self.server.request(&format!("/api/2.0/mlflow/{what}"), body)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let why = answer.body["message"].as_str().unwrap_or("no reason").chars().take(200);
        bail!("{what}: the server answers {} ({})", answer.status, why.collect::<String>().replace('\n', " "))
    }
}

impl Sink for Mlflow {
    fn started(&mut self, stage: Option<&str>, _: &Started) -> anyhow::Result<()> {
        self.stage = stage.map(|stage| slug(stage).to_string_lossy().into_owned());
        if !self.is_kept {
            let kept = json!({ "uri": self.uri, "run_id": self.run_id }).to_string();
            RunDir::open(&self.out)?.write(FILE, kept.as_bytes())?;
            self.is_kept = true;
        }
        Ok(())
    }

    fn scalars(&mut self, step: u64, scalars: &[Scalar]) -> anyhow::Result<()> {
        // A request an epoch; the updates between them are in metrics.jsonl.
        let scalars =
            scalars.iter().filter(|(name, value)| !name.starts_with("update/") && value.is_finite());
        let now = millis();
        let key = |name: &str| self.stage.as_ref().map_or(name.to_owned(), |stage| format!("{stage}/{name}"));
        let metrics: Vec<Value> = scalars
            .map(|(name, value)| json!({ "key": key(name), "value": value, "timestamp": now, "step": step }))
            .collect();
        if metrics.is_empty() {
            return Ok(());
        }
        self.call("runs/log-batch", Some(&json!({ "run_id": self.run_id, "metrics": metrics }))).map(drop)
    }

    fn ended(&mut self, end: End) -> anyhow::Result<()> {
        let status = match end {
            End::Complete => "FINISHED",
            End::Interrupted => "KILLED",
            End::Failed => "FAILED",
        };
        let body = json!({ "run_id": self.run_id, "status": status, "end_time": millis() });
        self.call("runs/update", Some(&body)).map(drop)
    }
}

fn text_of(value: &Value, place: &str) -> anyhow::Result<String> {
    let text = value.pointer(place).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| anyhow!("the server's answer has no {place}"))
}

/// Since 1970.
fn millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The values of a configuration by their keys, such as `optimizer.learning_rate`.
fn flatten(key: &str, value: &Value, params: &mut Vec<Value>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, params);
            }
        }
        value => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            params.push(json!({ "key": key, "value": text.chars().take(MAX_VALUE).collect::<String>() }));
        }
    }
}
