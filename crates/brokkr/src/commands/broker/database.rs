use clap::Args;

/// Where the broker's truth lies.
#[derive(Args)]
pub struct Database {
    /// The database of the broker: sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME
    #[arg(
        id = "database",
        long = "database",
        env = "BROKKR_DATABASE",
        hide_env_values = true,
        value_name = "URL",
        default_value = "sqlite:brokkr.db"
    )]
    pub url: String,
}
