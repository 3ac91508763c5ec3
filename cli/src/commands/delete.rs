//! `klamm delete -f`: asks the running `klamm up` to delete the resources of files, by their policy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crds::{Key, Kind, Resource};
use operator::cluster::cluster_key;
use world::World;

use crate::failure::Failure;
use crate::up::{data_dir_of, deletions, files, status_file};
use crate::{output, session};

/// How often it is looked whether the resources have gone.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Delete the resources of YAML files, by their deletion policy.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A Topic is deleted with its records, unless it says deletionPolicy: Retain. A \
                        ConsumerGroup stays unless it says deletionPolicy: DeleteGroup. A Cluster's \
                        brokers stop, and its data stays on disk.\n\
                        Taking a document out of a file deletes nothing."
)]
pub(crate) struct DeleteArgs {
    /// YAML files whose resources are deleted; may be repeated
    #[arg(short, long, value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// Where `klamm up` keeps its data [default: .klamm/CLUSTER]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How long to wait until they have gone
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = session::duration)]
    timeout: Duration,
}

/// Asks, and waits until they have gone.
pub(crate) fn run(args: &DeleteArgs) -> Result<(), Failure> {
    let world = session::world();
    let mut by_dir: BTreeMap<PathBuf, Vec<Key>> = BTreeMap::new();
    for path in &args.file {
        for resource in files::read_strictly(&*world.disk, path)? {
            let cluster = match &resource {
                Resource::Cluster(_) => resource.key().name,
                Resource::Topic(it) => cluster_key(&it.spec.cluster_ref, &it.metadata).name,
                Resource::ConsumerGroup(it) => cluster_key(&it.spec.cluster_ref, &it.metadata).name,
            };
            let dir = args.data_dir.clone().unwrap_or_else(|| data_dir_of(&cluster));
            by_dir.entry(dir).or_default().push(resource.key());
        }
    }
    session::run(async {
        for (dir, mut keys) in by_dir {
            if !status_file::is_running(&*world.disk, &dir) {
                return Err(Failure::new(format!("no `klamm up` runs on {}", dir.display())).hint(
                    "start it, or name its folder with --data-dir; `klamm topic delete` and `klamm \
                     group delete` need only a broker",
                ));
            }
            // The Cluster last: its topics are deleted by its brokers.
            keys.sort_by_key(|key| key.kind == Kind::Cluster);
            deletions::ask(&*world.disk, &dir, &keys)?;
            wait(&world, &dir, &keys, args.timeout).await?;
        }
        Ok(())
    })
}

async fn wait(world: &World, dir: &Path, keys: &[Key], timeout: Duration) -> Result<(), Failure> {
    let until = world.clock.tick() + timeout;
    loop {
        world.clock.sleep(LOOK_EVERY).await;
        let there = status_file::read(&*world.disk, dir)?.map(|file| file.resources);
        let there = there.unwrap_or_default();
        let is_asked = deletions::is_asked(&*world.disk, dir);
        let left = keys.iter().find(|key| there.iter().any(|it| it.key() == **key));
        match left {
            None if !is_asked => break,
            Some(key) if world.clock.tick() >= until => {
                let found = there.iter().find(|it| it.key() == *key);
                let why = found.map(|it| status_file::ready(it).2).unwrap_or_default();
                return Err(Failure::new(format!("{key} is still there: {why}"))
                    .hint("it goes on in the background; `klamm get` shows how far it is"));
            }
            None if world.clock.tick() >= until => {
                return Err(
                    Failure::new("`klamm up` does not answer").hint("is it running, and healthy?")
                );
            }
            None | Some(_) => {}
        }
    }
    for key in keys {
        output::line(format_args!("deleted {key}"))?;
    }
    Ok(())
}
