//! `klamm up`: a whole system on one machine, from the YAML that Kubernetes takes.
//!
//! ```text
//! files.rs ─ declared ─▶ resources.rs ◀─ status ─ operator's planners ─▶ platform.rs ─▶ broker, client
//!                            │                                               │
//!                            │                    control.rs (klamm cluster kill) ─▶ seat.rs
//!                     status_file.rs (klamm get)                    figures.rs ─▶ view.rs (a person)
//! ```
//!
//! It decides nothing about resources: the planners of `operator` do. What it must never do is lose data
//! by accident: a document that vanishes changes nothing (`resources.rs`).

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use operator::{Now, Reconciler};
use world::World;

use crate::failure::Failure;
use crate::session;

pub(crate) mod control;
pub(crate) mod deletions;
mod figures;
pub(crate) mod files;
mod platform;
mod resources;
mod seat;
mod settings;
mod shrink;
pub(crate) mod status_file;
mod view;

use figures::Figures;
use files::Files;
use platform::Laptop;
use settings::CommandLine;
use view::View;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Run a whole system on this machine, from YAML files if there are any.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --file: one broker, cluster \"local\". Data stays in the data \
                        directory and is there again at the next start. Ctrl-C stops cleanly. \
                        Unlike `klamm broker`, a group's first member gets its partitions at once \
                        (group.initial.rebalance.delay.ms=0, unless the Cluster says otherwise).")]
pub(crate) struct UpArgs {
    /// YAML files with Clusters, Topics and ConsumerGroups; may be repeated, and is watched
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Where data is kept [default: .klamm/CLUSTER]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where clients connect; further brokers listen on the ports that follow
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(crate) listen: String,
    /// What clients are told to connect to, if it differs: for clients in containers
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Where metrics and probes are served, further brokers' on the ports that follow; "off" for nowhere
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644")]
    pub(crate) http: String,
    /// A broker setting, which wins over the files; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Where the data of a cluster is kept, unless the command line says otherwise.
pub(crate) fn data_dir_of(cluster: &str) -> PathBuf {
    Path::new(".klamm").join(cluster)
}

/// Runs until it is told to stop.
pub(crate) fn run(args: &UpArgs) -> Result<(), Failure> {
    let command_line = CommandLine::read(args)
        .map_err(|(flag, error)| Failure::usage(format!("{flag}: {error}")))?;
    session::run(async {
        let world = session::world();
        let mut files = Files::open(&*world.disk, &args.file)?;
        let laptop = Rc::new(Laptop::new(world.clone(), args, command_line, files.declared())?);
        let worked = {
            let work = work(&world, &laptop, &mut files);
            tokio::select! {
                biased;
                stopped = session::stop_asked() => stopped,
                failed = work => failed,
                () = control::serve(&laptop, &world) => Ok(()),
            }
        };
        let saved = laptop.save().await;
        let stopped = laptop.stop().await;
        worked.and(saved).and(stopped)
    })
}

async fn work(world: &World, laptop: &Rc<Laptop>, files: &mut Files) -> Result<(), Failure> {
    let mut reconciler = Reconciler::new(Rc::clone(laptop) as Rc<dyn operator::Platform>);
    let mut figures = Figures::default();
    let mut view = View::new(world.clock.tick());
    let mut pass = reconciler.reconcile_all(Now::of(&*world.clock)).await;
    let mut due = world.clock.tick() + pass.next;
    laptop.check_started()?;
    loop {
        let is_changed = files.look(&*world.disk);
        if is_changed {
            laptop.declare(files.declared());
        }
        if laptop.take_deletions() || is_changed {
            pass = reconciler.reconcile_all(Now::of(&*world.clock)).await;
            due = world.clock.tick() + pass.next;
        } else if world.clock.tick() >= due {
            pass = reconciler.reconcile_due(Now::of(&*world.clock)).await;
            due = world.clock.tick() + pass.next;
        }
        laptop.end_failed().await?;
        laptop.save().await?;
        if let Some(admin) = laptop.client() {
            figures.sample(&admin, world.clock.tick()).await;
        }
        view.show(&laptop.shown(files.problems()), &figures, world)?;
        world.clock.sleep(LOOK_EVERY).await;
    }
}
