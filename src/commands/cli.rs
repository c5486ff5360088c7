//! The command line as clap reads it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plan::{CheckpointPolicy, ForgeKind};

/// Lets coding agents into a repository one reviewed task at a time.
#[derive(Debug, Parser)]
#[command(
    name = "git-pertask",
    bin_name = "git pertask",
    version,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 all that can be done now is done; 1 a person is needed; 2 bad usage, plan or configuration; 70 a defect of git-pertask; 75 temporary, run it again; 130 interrupted."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write .pertask/config.toml, and workflows for GitHub Actions; never overwrites
    Init(InitArgs),
    /// Show a plan: tasks in order, the mode and why, every problem; changes nothing
    Plan(PlanArgs),
    /// Start a run of a plan and carry on until a person is needed
    Start(StartArgs),
    /// Carry on with a run from wherever it stands
    Continue(ContinueArgs),
    /// Say where a run stands and what it waits for
    Status(StatusArgs),
    /// Show a task: prompt, attempts, checks, difference, reviews, question
    Show(ShowArgs),
    /// Approve a task; it is merged and the next one starts
    Approve(DecideArgs),
    /// Request changes, or answer an agent's question
    Revise(ReviseArgs),
    /// Attempt a failed or blocked task again
    Retry(RetryArgs),
    /// Leave a task out
    Skip(SkipArgs),
    /// Record a violation that no rule sees, for the P0 validation
    Note(NoteArgs),
    /// End a run; every branch is kept
    Abort(RunArgs),
    /// Read plan and configuration from the base again, for what has not started
    Amend(AmendArgs),
    /// Judge what is there now by the P0 rules and the gate; changes nothing
    Check(CheckArgs),
    /// Show a run's history from its ledger
    Log(RunArgs),
    /// Look whether all that a run needs is there, and say what mends it; changes nothing
    Doctor(DoctorArgs),
    /// The steps of a run as jobs of GitHub Actions
    #[command(subcommand)]
    Ci(CiCommand),
    /// Try it: a sample repository and a scripted agent in a fresh folder
    Demo(DemoArgs),
    /// The scripted agent of the demo
    #[command(hide = true)]
    DemoAgent,
    /// Run a program with nothing but what a policy allows
    #[command(hide = true)]
    Confine(ConfineArgs),
    /// Run a program and end all that it leaves behind
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Write man pages or shell completions into a folder
    #[command(hide = true)]
    Generate(GenerateArgs),
}

impl Command {
    pub(super) fn changes_something(&self) -> bool {
        !matches!(
            self,
            Self::Plan(_)
                | Self::Status(_)
                | Self::Show(_)
                | Self::Check(_)
                | Self::Log(_)
                | Self::Doctor(_)
                | Self::DemoAgent
                | Self::Confine(_)
                | Self::Supervise(_)
                | Self::Generate(_)
        )
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum CiCommand {
    /// Bring every run on GitHub up to what people decided, and hand out the orders that are ready
    Decide(CiDecideArgs),
    /// Carry one order out
    Attempt(CiAttemptArgs),
    /// Take in what came of an order, show it, and wake the workflow when there is more to do
    Publish(CiPublishArgs),
}

#[derive(Debug, Args)]
pub(super) struct CiDecideArgs {
    /// Name of a run; every unfinished run on GitHub when left out
    #[arg(long)]
    pub(super) run: Option<String>,
    /// File with the event's payload; else the one that Actions names
    #[arg(long, value_name = "FILE")]
    pub(super) event: Option<PathBuf>,
    /// Name of the event; else the one that Actions names; without one, every run goes on
    #[arg(long, value_name = "NAME")]
    pub(super) event_name: Option<String>,
    /// Start a run of this plan first, whatever the event
    #[arg(long)]
    pub(super) plan: Option<String>,
    /// One agent per task, or one for all
    #[arg(long, value_enum, requires = "plan")]
    pub(super) mode: Option<ModeChoice>,
    /// Agent for tasks that name none
    #[arg(long, value_name = "NAME", requires = "plan")]
    pub(super) agent: Option<String>,
    /// Fill in a parameter of the plan
    #[arg(long = "param", value_name = "KEY=VALUE", requires = "plan")]
    pub(super) params: Vec<String>,
    /// Build again what did not build, though nothing has changed
    #[arg(long)]
    pub(super) again: bool,
}

/// Which order.
#[derive(Debug, Args)]
pub(super) struct CiOrderArgs {
    /// Name of the run
    #[arg(long)]
    pub(super) run: String,
    /// The task, as `ci decide` names it
    #[arg(long)]
    pub(super) task: String,
    /// Number of the attempt
    #[arg(long)]
    pub(super) attempt: u32,
    /// Object id of the order
    #[arg(long, value_name = "OID")]
    pub(super) order: String,
}

#[derive(Debug, Args)]
pub(super) struct CiAttemptArgs {
    #[command(flatten)]
    pub(super) order: CiOrderArgs,
    /// Which part
    #[arg(long, value_enum, default_value_t = AttemptStep::All)]
    pub(super) step: AttemptStep,
    /// Folder for what is handed on
    #[arg(long, value_name = "DIR", default_value = "pertask-result")]
    pub(super) result: PathBuf,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AttemptStep {
    /// Fetch order and objects; needs a token that may read
    Fetch,
    /// Ask the agent; needs its key
    Agent,
    /// Run the checks
    Checks,
    /// Write what is handed on, however the other steps ended
    Pack,
    /// All of them
    #[default]
    All,
}

#[derive(Debug, Args)]
pub(super) struct CiPublishArgs {
    #[command(flatten)]
    pub(super) order: CiOrderArgs,
    /// Folder with what was handed on
    #[arg(long, value_name = "DIR", default_value = "pertask-result")]
    pub(super) result: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Settings for reviews on GitHub, and the workflows that carry runs on there
    #[arg(long)]
    pub(super) github: bool,
    /// The action that the workflows use, pinned to a commit; the one of this release when left out
    #[arg(long, value_name = "OWNER/REPO@REF", requires = "github")]
    pub(super) action: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Name of the plan, a folder under .pertask/
    pub(super) plan: String,
    /// Show each prompt as well
    #[arg(long)]
    pub(super) prompts: bool,
    /// Have the agent propose a plan.toml from the documents, reviewed like any task
    #[arg(long, conflicts_with = "prompts")]
    pub(super) draft: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

/// What `plan` and `start` share.
#[derive(Debug, Default, Clone, Args)]
pub(super) struct Settings {
    /// Where checkpoints happen
    #[arg(long)]
    pub(super) forge: Option<ForgeKind>,
    /// Agent for tasks that name none
    #[arg(long, value_name = "NAME")]
    pub(super) agent: Option<String>,
    /// One agent per task, or one for all
    #[arg(long, value_enum, default_value_t = ModeChoice::Auto)]
    pub(super) mode: ModeChoice,
    /// After which tasks a person decides
    #[arg(long)]
    pub(super) checkpoint: Option<CheckpointPolicy>,
    /// Fill in a parameter of the plan
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub(super) params: Vec<String>,
    /// Branch to read the plan from and to start at
    #[arg(long, value_name = "BRANCH")]
    pub(super) base: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeChoice {
    /// As the plan asks for
    #[default]
    Auto,
    /// One fresh agent per task, a review after each
    PerTask,
    /// One agent for all tasks, one review
    Batch,
}

impl ModeChoice {
    /// As it is written on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::PerTask => "per-task",
            Self::Batch => "batch",
        }
    }
}

/// What all commands share that carry on with a run.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Driving {
    /// How many attempts may run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// Ask nothing: stop at a checkpoint as without a terminal
    #[arg(long)]
    pub(super) yes: bool,
    /// Stay and carry on as reviews come in
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// Name of the plan, a folder under .pertask/
    pub(super) plan: String,
    #[command(flatten)]
    pub(super) settings: Settings,
    #[command(flatten)]
    pub(super) driving: Driving,
    /// Show what would be done and start nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct ContinueArgs {
    /// Name of the run; may be left out when only one is unfinished
    pub(super) run: Option<String>,
    /// Where the run is reviewed, when this clone does not know it yet
    #[arg(long)]
    pub(super) forge: Option<ForgeKind>,
    #[command(flatten)]
    pub(super) driving: Driving,
    /// Show what would be done next and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Name of the run; may be left out when only one is unfinished
    pub(super) run: Option<String>,
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Name of the run; may be left out when only one is unfinished
    pub(super) run: Option<String>,
    /// Judge the source files below this folder by the rules alone, without a run
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    pub(super) path: Option<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(super) format: CheckFormat,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Workflow commands, which GitHub turns into annotations
    Github,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Name of the run; may be left out when only one is unfinished
    pub(super) run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct AmendArgs {
    /// Name of the run; may be left out when only one is unfinished
    pub(super) run: Option<String>,
    /// Show what would change and record nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name of the run, or of a task when only one run is unfinished
    pub(super) run: Option<String>,
    /// Name of the task
    pub(super) task: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// Name of the run, or of a task when only one run is unfinished
    pub(super) run: Option<String>,
    /// Name of the task; may be left out when only one waits
    pub(super) task: Option<String>,
    #[command(flatten)]
    pub(super) driving: Driving,
}

#[derive(Debug, Args)]
pub(super) struct ReviseArgs {
    #[command(flatten)]
    pub(super) which: DecideArgs,
    /// What to change, or the answer; else an editor opens
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    pub(super) which: DecideArgs,
    /// Start from the run branch instead of the failed work
    #[arg(long)]
    pub(super) fresh: bool,
}

#[derive(Debug, Args)]
pub(super) struct SkipArgs {
    #[command(flatten)]
    pub(super) which: DecideArgs,
    /// Why it is left out
    #[arg(short, long, value_name = "WHY")]
    pub(super) message: String,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Look as if checkpoints happened there, whatever the settings say
    #[arg(long)]
    pub(super) forge: Option<ForgeKind>,
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Folder to make; a fresh temporary one when left out
    pub(super) folder: Option<PathBuf>,
    /// Run through without asking
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConfineArgs {
    /// File that says what is allowed
    #[arg(long, value_name = "FILE")]
    pub(super) policy: PathBuf,
    /// Program and arguments
    #[arg(last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct SuperviseArgs {
    /// Folder for the notes on how it ended
    #[arg(long, value_name = "FOLDER")]
    pub(super) notes: PathBuf,
    /// Process at whose end everything ends; 0 for none
    #[arg(long, value_name = "PID")]
    pub(super) parent: i32,
    /// Time between SIGTERM and SIGKILL
    #[arg(long, value_name = "MILLISECONDS")]
    pub(super) grace: u64,
    /// Program and arguments
    #[arg(last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// What to write
    #[arg(value_enum)]
    pub(super) what: Generated,
    /// Where to; made if it is not there
    pub(super) folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Generated {
    /// git-pertask.1 and a page for each subcommand
    Man,
    /// For bash, zsh and fish
    Completions,
}

#[derive(Debug, Args)]
pub(super) struct NoteArgs {
    /// Name of the run
    pub(super) run: Option<String>,
    /// Id of the task it is about; the whole when left out
    pub(super) task: Option<String>,
    /// What is wrong
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: String,
}
