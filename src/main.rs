//! The command line of Vestibule; everything is in the library.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = vestibule::cli::Cli::parse();
    match vestibule::cli::run(cli).await {
        Ok(status) => status,
        Err(error) => {
            // `{:#}` has the causes; none of our errors holds a secret.
            tracing::debug!(?error, "failed");
            eprintln!("vestibule: {error:#}");
            ExitCode::FAILURE
        }
    }
}
