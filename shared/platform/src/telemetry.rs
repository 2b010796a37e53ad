//! Logs and metrics. Neither ever carries a value of a person or a secret: what is logged are ids that are hashes, words
//! and counts.

use std::error::Error;
use std::fmt;
use std::io::Write;
use tracing_subscriber::EnvFilter;
use trefoil_domain::time::Timestamp;

/// Starts logging as one JSON object a line, for a function. `level` is what `TREFOIL_LOG` says: a level such as `info`,
/// or `tracing-subscriber` directives. Does nothing when logging has been started before.
pub fn log_json(level: &str) {
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_target(false);
    // Lambda adds its own time to each line.
    // It fails where logging has been started before, and that is as good.
    drop(subscriber.without_time().with_env_filter(filter(level)).try_init());
    // A panic's message may quote what it was working on, so only the place is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// Starts logging for a human, on standard error. Otherwise as [`log_json`].
pub fn log_human(level: &str) {
    let subscriber = tracing_subscriber::fmt().with_target(false).with_writer(std::io::stderr);
    drop(subscriber.with_env_filter(filter(level)).try_init());
}

/// Libraries whose debug lines hold requests and their bodies: they speak from `warn` on, whatever the level.
const QUIET: [&str; 8] =
    ["aws_runtime", "aws_smithy_runtime", "aws_smithy_http_client", "hyper_util", "h2", "lambda_runtime", "reqwest", "rustls"];

fn filter(level: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let quiet = QUIET.iter().filter_map(|library| format!("{library}=warn").parse().ok());
    quiet.fold(filter, EnvFilter::add_directive)
}

/// What a metric may be split by. Each combination of values is a metric that is paid for, so there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    Source,
    Destination,
    Outcome,
}

impl Dimension {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Outcome => "outcome",
        }
    }
}

/// The namespace of all metrics in CloudWatch.
pub const NAMESPACE: &str = "Trefoil";

/// Writes metrics as one line on standard output, which CloudWatch Logs turns into metrics. A name that ends in `_ms`
/// counts in milliseconds, one in `_bytes` in bytes, any other is a count.
pub fn emit(now: Timestamp, metrics: &[(&str, f64)], dimensions: &[(Dimension, &str)]) {
    let mut line = embedded(now, metrics, dimensions).to_string();
    line.push('\n');
    // Nobody to tell when standard output is gone.
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

/// The embedded metric format.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn embedded(now: Timestamp, metrics: &[(&str, f64)], dimensions: &[(Dimension, &str)]) -> serde_json::Value {
    let names: Vec<&str> = dimensions.iter().map(|(dimension, _)| dimension.as_str()).collect();
    let defined: Vec<_> = metrics.iter().map(|(name, _)| serde_json::json!({"Name": name, "Unit": unit(name)})).collect();
    let mut line = serde_json::json!({
        "_aws": {
            "Timestamp": now.millis(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": defined}],
        },
    });
    for (dimension, value) in dimensions {
        line[dimension.as_str()] = (*value).into();
    }
    for (name, value) in metrics {
        line[*name] = (*value).into();
    }
    line
}

fn unit(name: &str) -> &'static str {
    match name {
        name if name.ends_with("_ms") => "Milliseconds",
        name if name.ends_with("_bytes") => "Bytes",
        _ => "Count",
    }
}

/// Writes an error and its causes in one line, `what: why: why that`.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_line_defines_what_it_carries() {
        let line = embedded(
            Timestamp::from_secs(1_700_000_000),
            &[("events", 3.0), ("lag_ms", 41.5)],
            &[(Dimension::Source, "intercom"), (Dimension::Outcome, "done")],
        );
        assert_eq!(
            line,
            serde_json::json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Trefoil",
                        "Dimensions": [["source", "outcome"]],
                        "Metrics": [{"Name": "events", "Unit": "Count"}, {"Name": "lag_ms", "Unit": "Milliseconds"}],
                    }],
                },
                "source": "intercom", "outcome": "done", "events": 3.0, "lag_ms": 41.5,
            })
        );
    }

    #[test]
    fn a_chain_names_every_cause() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("could not save")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        assert_eq!(Chain(&Outer(std::io::Error::other("disk full"))).to_string(), "could not save: disk full");
    }

    #[test]
    fn a_level_that_makes_no_sense_is_info_and_libraries_stay_quiet() {
        assert!(filter("===").to_string().contains("info"));
        assert!(filter("trace").to_string().contains("aws_smithy_runtime=warn"));
    }
}
