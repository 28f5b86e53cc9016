//! The options of `EXPLAIN`.

use aegis_types::{Oid, SqlError, SqlResult, SqlState, type_oid};

use crate::ast::DefElem;

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For others.
    Xml,
    /// For both.
    Yaml,
}

/// What `EXPLAIN` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Run the statement.
    pub analyze: bool,
    /// Show output columns and schemas.
    pub verbose: bool,
    /// Show estimates.
    pub costs: bool,
    /// Show the use of buffers.
    pub buffers: bool,
    /// Show what was written to the WAL.
    pub wal: bool,
    /// Show settings that are not as by default.
    pub settings: bool,
    /// Measure the time of each node.
    pub timing: bool,
    /// Show the times of planning and running.
    pub summary: bool,
    /// How it is printed.
    pub format: ExplainFormat,
}

impl ExplainOptions {
    /// Reads the options as they are written; of one that is written twice the last counts.
    ///
    /// # Errors
    /// 42601 for unknown options and values that are no Boolean, 22023 for unknown formats and for
    /// options that need `ANALYZE`.
    pub fn read(written: &[DefElem]) -> SqlResult<Self> {
        let mut options = Self {
            analyze: false,
            verbose: false,
            costs: true,
            buffers: false,
            wal: false,
            settings: false,
            timing: false,
            summary: false,
            format: ExplainFormat::Text,
        };
        let (mut timing, mut summary) = (None, None);
        for option in written {
            match option.name.as_str() {
                "analyze" => options.analyze = option.boolean()?,
                "verbose" => options.verbose = option.boolean()?,
                "costs" => options.costs = option.boolean()?,
                "buffers" => options.buffers = option.boolean()?,
                "wal" => options.wal = option.boolean()?,
                "settings" => options.settings = option.boolean()?,
                "timing" => timing = Some(option.boolean()?),
                "summary" => summary = Some(option.boolean()?),
                "format" => options.format = format(option)?,
                name => {
                    return Err(SqlError::new(
                        SqlState::SyntaxError,
                        format!("unrecognized EXPLAIN option \"{name}\""),
                    )
                    .at(option.location));
                }
            }
        }
        for (name, asked) in [("WAL", options.wal), ("TIMING", timing == Some(true))] {
            if asked && !options.analyze {
                return Err(SqlError::new(
                    SqlState::InvalidParameterValue,
                    format!("EXPLAIN option {name} requires ANALYZE"),
                ));
            }
        }
        options.timing = timing.unwrap_or(options.analyze);
        options.summary = summary.unwrap_or(options.analyze);
        Ok(options)
    }

    /// The type of the column that the plan is given in.
    #[must_use]
    pub const fn column_type(&self) -> Oid {
        match self.format {
            ExplainFormat::Json => type_oid::JSON,
            ExplainFormat::Xml => type_oid::XML,
            ExplainFormat::Text | ExplainFormat::Yaml => type_oid::TEXT,
        }
    }
}

fn format(option: &DefElem) -> SqlResult<ExplainFormat> {
    let value = option.string()?;
    match value.as_str() {
        "text" => Ok(ExplainFormat::Text),
        "json" => Ok(ExplainFormat::Json),
        "xml" => Ok(ExplainFormat::Xml),
        "yaml" => Ok(ExplainFormat::Yaml),
        _ => Err(SqlError::new(
            SqlState::InvalidParameterValue,
            format!("unrecognized value for EXPLAIN option \"{}\": \"{value}\"", option.name),
        )
        .at(option.location)),
    }
}
