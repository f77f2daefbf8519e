//! Where log lines go: to the standard error, so that the standard output keeps what people wait
//! for.

use anyhow::Context;
use std::io::{self, IsTerminal};
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Settings};

/// Begins to log.
pub(crate) fn begin(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log).with_context(|| {
        format!("log: “{}” is no filter, such as info or longshore_engine=debug", settings.log)
    })?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match settings.log_format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
