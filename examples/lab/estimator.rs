//! Command-line options for the estimator, with one option for each hyper-parameter in the
//! library's list of estimators.

use super::error::{on_command_line, option, wrong_option};
use super::preset::Preset;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use hardgrad::estimators::{EstimatorConfig, EstimatorKind, Parameter, TemperatureSchedule};
use hardgrad::{Error, Result};

/// Estimator and its hyper-parameters.
#[derive(Clone, Debug)]
pub struct EstimatorArgs {
    /// The estimator.
    pub estimator: EstimatorKind,
    /// Published run whose hyper-parameters hold where no option sets another value.
    pub preset: Option<Preset>,
    /// Schedule of the temperature.
    pub tau_schedule: Option<TemperatureSchedule>,
    /// Name and text of each hyper-parameter that an option sets on this command line.
    chosen: Vec<(&'static str, String)>,
}

/// The options that do not depend on the list of estimators.
#[derive(Args)]
struct Fixed {
    /// Gradient estimator
    #[arg(long, value_name = "NAME", default_value = "reinmax", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    estimator: String,
    /// Options of training and hyper-parameters of a published run, by estimator and latent space; other options override it
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Change the temperature, or the λ of mve, to T2 over N epochs: linear:T2:N or exponential:T2:N
    #[arg(long, value_name = "SHAPE:T2:N")]
    tau_schedule: Option<TemperatureSchedule>,
}

/// Each hyper-parameter of any estimator once, with the estimators that have it and their own
/// descriptions and defaults.
fn parameters() -> Vec<(&'static str, Vec<(EstimatorKind, Parameter)>)> {
    let mut all = Vec::new();
    for &kind in EstimatorKind::ALL {
        for parameter in kind.default_config().parameters() {
            insert(&mut all, parameter.name, (kind, parameter));
        }
    }
    all
}

/// Adds an item to the group with this key, or to a new last group.
fn insert<K: PartialEq, V>(groups: &mut Vec<(K, Vec<V>)>, key: K, item: V) {
    match groups.iter_mut().find(|(known, _)| *known == key) {
        Some((_, items)) => items.push(item),
        None => groups.push((key, vec![item])),
    }
}

/// Help for an option: each description once, with the defaults of the estimators that have it.
fn help(parameters: Vec<(EstimatorKind, Parameter)>) -> String {
    let mut meanings = Vec::new();
    for (kind, parameter) in parameters {
        insert(&mut meanings, parameter.about, (kind, parameter.value));
    }
    let meaning = |(about, of): (&str, Vec<(EstimatorKind, String)>)| {
        let mut defaults = Vec::new();
        for (kind, value) in of {
            insert(&mut defaults, value, kind.name());
        }
        let default = |(value, names): &(String, Vec<&str>)| format!("{value} of {}", names.join(", "));
        let defaults: Vec<_> = defaults.iter().map(default).collect();
        format!("{} [default: {}]", about.trim_end_matches('.'), defaults.join("; "))
    };
    meanings.into_iter().map(meaning).collect::<Vec<_>>().join(". ")
}

impl Args for EstimatorArgs {
    fn augment_args(command: Command) -> Command {
        let names: Vec<_> = EstimatorKind::ALL.iter().map(|kind| kind.name()).collect();
        let command = Fixed::augment_args(command)
            .mut_arg("estimator", |arg| arg.help(format!("Gradient estimator: {}", names.join(", "))));
        parameters().into_iter().fold(command, |command, (name, parameters)| {
            let long = option(name).trim_start_matches('-').to_owned();
            let arg = Arg::new(name).long(long).value_name("VALUE").allow_hyphen_values(true);
            command.arg(arg.help(help(parameters)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for EstimatorArgs {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let Fixed { estimator, preset, tau_schedule } = Fixed::from_arg_matches(matches)?;
        let wrong = |e: Error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{e}\n"));
        let estimator = estimator.parse().map_err(|e| wrong(on_command_line(e)))?;
        let chosen = parameters()
            .into_iter()
            .filter_map(|(name, _)| Some((name, matches.get_one::<String>(name)?.clone())));
        let args = Self { estimator, preset, tau_schedule, chosen: chosen.collect() };
        args.config(None).map_err(wrong)?; // a wrong option is an error before any file is read
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl EstimatorArgs {
    /// The estimator. An option overrides `preset`, which overrides the default.
    pub fn config(&self, preset: Option<EstimatorConfig>) -> Result<EstimatorConfig> {
        let mut config = preset.unwrap_or_else(|| self.estimator.default_config());
        let has: Vec<_> = config.parameters().iter().map(|parameter| option(parameter.name)).collect();
        for (name, text) in &self.chosen {
            if !config.parameters().iter().any(|parameter| parameter.name == *name) {
                let value = format!("{text} with --estimator {}", self.estimator);
                let expected = if has.is_empty() {
                    "no hyper-parameter: this estimator has none".to_owned()
                } else {
                    format!("only the hyper-parameters of this estimator: {}", has.join(", "))
                };
                return Err(wrong_option(option(name), value, expected));
            }
            config.set(name, text).map_err(on_command_line)?;
            // The error names this option: the library has one name for both temperatures of a
            // blend.
            if let Err(Error::Argument { value, expected, .. }) = config.build::<f32>() {
                return Err(wrong_option(option(name), value, expected));
            }
        }
        config.build::<f32>().map_err(on_command_line)?;
        if let Some(schedule) = self.tau_schedule {
            self.check_schedule(schedule, config)?;
        }
        Ok(config)
    }

    /// Checks that the estimator has a hyper-parameter for the schedule, and that its last value is
    /// valid.
    fn check_schedule(&self, schedule: TemperatureSchedule, mut config: EstimatorConfig) -> Result<()> {
        let wrong = |expected: String| wrong_option("--tau-schedule".into(), schedule, expected);
        let Some(scheduled) = config.scheduled_mut() else {
            let expected = "an estimator with a temperature or a λ";
            return Err(wrong(format!("{expected}, and --estimator {} has neither", self.estimator)));
        };
        let start = *scheduled;
        *scheduled = schedule.to;
        match schedule.validated().and_then(|_| config.build::<f32>().map(drop)) {
            Err(Error::Argument { name: "over", expected, .. }) => Err(wrong(format!("{expected} epoch"))),
            Err(Error::Argument { expected, .. }) => Err(wrong(format!("as its last value {expected}"))),
            Ok(()) if start <= 0.0 => {
                Err(wrong(format!("a first value > 0; --estimator {} starts at {start}", self.estimator)))
            }
            done => done,
        }
    }
}
