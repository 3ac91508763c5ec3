//! Operating a cluster: may this broker restart, who may disrupt, take away what it carries. All of it is
//! Klamm's own; another broker closes the connection.

use std::time::Duration;

use wire::validate_config::request::ConfigToValidate;
use wire::{
    BalanceClusterRequest, BalanceClusterResponse, CordonBrokerRequest, DescribeBrokersRequest,
    DisruptionLeaseRequest, DisruptionLeaseResponse, DrainBrokerRequest, ForgetBrokerRequest,
    RestartCheckRequest, ValidateConfigRequest,
};

use super::Admin;
use crate::TopicPartition;
use crate::error::Error;

/// What would follow if brokers were restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartVerdict {
    /// Whether they may be restarted now.
    pub is_ok: bool,
    /// What would follow, also of what is accepted.
    pub harms: Vec<HarmFacts>,
}

/// One thing that would follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarmFacts {
    /// What.
    pub kind: HarmKind,
    /// Whether it happens with every restart, also when all is well.
    pub is_accepted: bool,
    /// Of which partitions; none for the quorum.
    pub partitions: Vec<TopicPartition>,
}

/// What a restart can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HarmKind {
    /// Without the disks of these brokers, records would be lost.
    DataLoss,
    /// Nobody would lead.
    Unavailable,
    /// Fewer replicas than `min.insync.replicas` would be in sync.
    UnderMinIsr,
    /// The quorum would have no majority.
    Quorum,
    /// Something that this build does not know.
    Unknown,
}

/// The disruption lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFacts {
    /// Who may be disrupted.
    pub broker: i32,
    /// Who may do so.
    pub holder: String,
    /// How long it still lasts, unless it is renewed.
    pub remaining: Duration,
}

/// What a broker gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainMode {
    /// Nothing (any more).
    Nothing,
    /// What it leads, until it is restarted.
    Leadership,
    /// All that it holds.
    All,
}

/// What a broker carries, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerStanding {
    /// Its id.
    pub id: i32,
    /// Its registration.
    pub epoch: i64,
    /// `host:port`.
    pub address: String,
    /// Where it runs.
    pub rack: Option<String>,
    /// Whether it does not run, or has yet to read its logs.
    pub is_fenced: bool,
    /// Whether it is about to stop.
    pub is_stopping: bool,
    /// Whether new replicas are placed elsewhere.
    pub is_cordoned: bool,
    /// Whether it votes in the quorum.
    pub is_voter: bool,
    /// Whether it is the active controller.
    pub is_controller: bool,
    /// What it gives away.
    pub drain: DrainMode,
    /// Whether nothing is left of that.
    pub is_drained: bool,
    /// Why something is left that cannot go now.
    pub obstacles: Vec<String>,
    /// Partitions that it leads.
    pub leaders: i32,
    /// Replicas that it holds.
    pub replicas: i32,
    /// Those of them that are in sync.
    pub in_sync: i32,
    /// Partitions that it is preferred to lead.
    pub preferred: i32,
    /// Those of them that it leads.
    pub preferred_led: i32,
}

impl BrokerStanding {
    /// How many of a hundred of its replicas are in sync, rounded down; 100 if it has none.
    pub fn in_sync_percent(&self) -> i32 {
        percent(self.in_sync, self.replicas)
    }

    /// How many of a hundred that it is preferred to lead it leads, rounded down; 100 if there are none.
    pub fn preferred_percent(&self) -> i32 {
        percent(self.preferred_led, self.preferred)
    }
}

fn percent(part: i32, of: i32) -> i32 {
    let percent = (i64::from(part) * 100).checked_div(i64::from(of)).unwrap_or(100);
    i32::try_from(percent).unwrap_or(100)
}

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key; empty if it is none alone.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What the balancer would do, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalancePlan {
    /// Whether it is done by and by.
    pub is_running: bool,
    /// Why nothing is begun now.
    pub hold: Option<String>,
    /// Partitions whose replicas are being moved; they count as moved already.
    pub moving: i32,
    /// Replicas that are to go elsewhere, in this order.
    pub moves: Vec<PlannedChange>,
    /// Partitions that are to be led by others.
    pub leaders: Vec<PlannedChange>,
    /// What brokers carry, and will when all is done.
    pub shares: Vec<PlannedShare>,
}

impl BalancePlan {
    /// How much is left to do, of replicas and leaders together.
    pub fn left(&self) -> usize {
        self.moves.len() + self.leaders.len() + usize::try_from(self.moving).unwrap_or(0)
    }
}

/// A replica, or a leadership, that is to go to another broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// Of which partition.
    pub partition: TopicPartition,
    /// Who has it.
    pub from: i32,
    /// Who will.
    pub to: i32,
    /// How much is copied, as far as is known; nothing for a leadership.
    pub bytes: i64,
}

/// What a broker carries, now and when all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedShare {
    /// The broker.
    pub broker: i32,
    /// Replicas.
    pub replicas: (i32, i32),
    /// Their bytes, as far as they are known.
    pub bytes: (i64, i64),
    /// Partitions that it is preferred to lead.
    pub preferred: (i32, i32),
}

const ACQUIRE: i8 = 0;
const RENEW: i8 = 1;
const RELEASE: i8 = 2;
const TELL: i8 = 3;

impl Admin {
    /// What would follow if these brokers were restarted together, now.
    ///
    /// # Errors
    /// When nobody answers, or there is no such broker.
    pub async fn restart_check(&self, brokers: &[i32]) -> Result<RestartVerdict, Error> {
        let body = RestartCheckRequest { broker_ids: brokers.to_vec(), ..Default::default() };
        let about = || "the restart check".to_owned();
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                let harms = answer.harms.iter().map(|harm| HarmFacts {
                    kind: match harm.kind {
                        0 => HarmKind::DataLoss,
                        1 => HarmKind::Unavailable,
                        2 => HarmKind::UnderMinIsr,
                        3 => HarmKind::Quorum,
                        _ => HarmKind::Unknown,
                    },
                    is_accepted: harm.is_accepted,
                    partitions: harm
                        .topics
                        .iter()
                        .flat_map(|topic| {
                            let name = &*topic.name;
                            topic.partitions.iter().map(move |it| TopicPartition::new(name, *it))
                        })
                        .collect(),
                });
                Ok(RestartVerdict { is_ok: answer.is_ok, harms: harms.collect() })
            })
            .await
    }

    /// Takes the disruption lease for `broker`; whoever has it already gets it again.
    ///
    /// # Errors
    /// When somebody else has it, the broker cannot be missed now, or nobody answers.
    pub async fn acquire_lease(
        &self,
        broker: i32,
        holder: &str,
        ttl: Duration,
    ) -> Result<LeaseFacts, Error> {
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let lease = self.lease_request(ACQUIRE, broker, holder, ttl_ms).await?;
        Ok(lease.unwrap_or(LeaseFacts { broker, holder: holder.to_owned(), remaining: ttl }))
    }

    /// Lets the lease run anew.
    ///
    /// # Errors
    /// When `holder` does not have it any more, or nobody answers.
    pub async fn renew_lease(&self, broker: i32, holder: &str) -> Result<(), Error> {
        self.lease_request(RENEW, broker, holder, 0).await.map(|_| ())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// When `holder` does not have it, or nobody answers.
    pub async fn release_lease(&self, broker: i32, holder: &str) -> Result<(), Error> {
        self.lease_request(RELEASE, broker, holder, 0).await.map(|_| ())
    }

    /// Who has the lease, if anybody does.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn lease(&self) -> Result<Option<LeaseFacts>, Error> {
        self.lease_request(TELL, -1, "", 0).await
    }

    async fn lease_request(
        &self,
        operation: i8,
        broker: i32,
        holder: &str,
        ttl_ms: i64,
    ) -> Result<Option<LeaseFacts>, Error> {
        let body = DisruptionLeaseRequest {
            operation,
            broker_id: broker,
            holder: holder.into(),
            ttl_ms,
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the disruption lease".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                Ok(held(&answer))
            })
            .await
    }

    /// Has a broker give away what it carries, or keep what it has left. It goes on in the background:
    /// [`Admin::describe_brokers`] tells how far it is.
    ///
    /// # Errors
    /// When nobody answers, or there is no such broker.
    pub async fn drain_broker(&self, id: i32, mode: DrainMode) -> Result<(), Error> {
        let mode = match mode {
            DrainMode::Nothing => 0,
            DrainMode::Leadership => 1,
            DrainMode::All => 2,
        };
        let body = DrainBrokerRequest { broker_id: id, mode, ..Default::default() };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || format!("broker {id}");
                Error::check(answer.error_code, about, answer.error_message.as_ref())
            })
            .await
    }

    /// Has new replicas placed elsewhere than on a broker, or there again.
    ///
    /// # Errors
    /// When nobody answers, or there is no such broker.
    pub async fn cordon_broker(&self, id: i32, is_cordoned: bool) -> Result<(), Error> {
        let body = CordonBrokerRequest { broker_id: id, is_cordoned, ..Default::default() };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || format!("broker {id}");
                Error::check(answer.error_code, about, answer.error_message.as_ref())
            })
            .await
    }

    /// What the registered brokers carry, and how far their drains are.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn describe_brokers(&self) -> Result<Vec<BrokerStanding>, Error> {
        let body = DescribeBrokersRequest::default();
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the brokers".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                Ok(answer.brokers.iter().map(standing).collect())
            })
            .await
    }

    /// What the balancer would do now.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn balance_plan(&self) -> Result<BalancePlan, Error> {
        self.balance_request(0).await
    }

    /// Has the balancer run until nothing is left to do, or begin nothing more. It goes on in the
    /// background: [`Admin::balance_plan`] tells how far it is.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn balance(&self, is_wanted: bool) -> Result<BalancePlan, Error> {
        self.balance_request(if is_wanted { 1 } else { 2 }).await
    }

    async fn balance_request(&self, operation: i8) -> Result<BalancePlan, Error> {
        let body = BalanceClusterRequest { operation, ..Default::default() };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the balance".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                Ok(planned(&answer))
            })
            .await
    }

    /// Forgets a broker that does not run and holds nothing; `epoch` is its registration that is meant.
    ///
    /// # Errors
    /// When nobody answers, it runs, holds replicas, or is registered with another epoch.
    pub async fn forget_broker(&self, id: i32, epoch: Option<i64>) -> Result<(), Error> {
        let expected_epoch = epoch.unwrap_or(-1);
        let body = ForgetBrokerRequest { broker_id: id, expected_epoch, ..Default::default() };
        self.retry_refused(async || {
            let answer = self.cluster.ask_any(&body).await?;
            let about = || "not unregistered".to_owned();
            Error::check(answer.error_code, about, answer.error_message.as_ref())
        })
        .await
    }

    /// What is wrong with settings of topics, or of brokers; nothing is set.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn validate_config(
        &self,
        of_topic: bool,
        configs: &[(String, String)],
    ) -> Result<Vec<ConfigProblem>, Error> {
        let configs = configs.iter().map(|(name, value)| ConfigToValidate {
            name: name.into(),
            value: value.into(),
            ..Default::default()
        });
        let body = ValidateConfigRequest {
            resource_type: if of_topic { 2 } else { 4 },
            configs: configs.collect(),
            ..Default::default()
        };
        self.cluster
            .retry(async || {
                let answer = self.cluster.ask_any(&body).await?;
                let about = || "the settings".to_owned();
                Error::check(answer.error_code, about, answer.error_message.as_ref())?;
                let problems = answer.errors.iter().map(|problem| ConfigProblem {
                    key: problem.name.to_string(),
                    message: problem.message.to_string(),
                    hint: problem.hint.as_ref().map(ToString::to_string),
                });
                Ok(problems.collect())
            })
            .await
    }
}

fn planned(answer: &BalanceClusterResponse) -> BalancePlan {
    let moves = answer.moves.iter().map(|one| PlannedChange {
        partition: TopicPartition::new(&*one.topic, one.partition),
        from: one.from,
        to: one.to,
        bytes: one.bytes,
    });
    let leaders = answer.leaders.iter().map(|one| PlannedChange {
        partition: TopicPartition::new(&*one.topic, one.partition),
        from: one.from,
        to: one.to,
        bytes: 0,
    });
    let shares = answer.brokers.iter().map(|one| PlannedShare {
        broker: one.broker_id,
        replicas: (one.replicas, one.replicas_then),
        bytes: (one.bytes, one.bytes_then),
        preferred: (one.preferred, one.preferred_then),
    });
    BalancePlan {
        is_running: answer.is_running,
        hold: answer.hold.as_ref().map(ToString::to_string),
        moving: answer.moving,
        moves: moves.collect(),
        leaders: leaders.collect(),
        shares: shares.collect(),
    }
}

fn held(answer: &DisruptionLeaseResponse) -> Option<LeaseFacts> {
    let remaining = Duration::from_millis(u64::try_from(answer.remaining_ms).unwrap_or(0));
    let holder = answer.holder.to_string();
    (answer.broker_id >= 0).then_some(LeaseFacts { broker: answer.broker_id, holder, remaining })
}

fn standing(broker: &wire::describe_brokers::response::DescribedBroker) -> BrokerStanding {
    BrokerStanding {
        id: broker.broker_id,
        epoch: broker.broker_epoch,
        address: format!("{}:{}", broker.host, broker.port),
        rack: broker.rack.as_ref().map(ToString::to_string),
        is_fenced: broker.is_fenced,
        is_stopping: broker.is_stopping,
        is_cordoned: broker.is_cordoned,
        is_voter: broker.is_voter,
        is_controller: broker.is_controller,
        drain: match broker.drain {
            0 => DrainMode::Nothing,
            1 => DrainMode::Leadership,
            _ => DrainMode::All,
        },
        is_drained: broker.is_drained,
        obstacles: broker.obstacles.iter().map(ToString::to_string).collect(),
        leaders: broker.leaders,
        replicas: broker.replicas,
        in_sync: broker.in_sync,
        preferred: broker.preferred,
        preferred_led: broker.preferred_led,
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn nothing_of_nothing_is_all_of_it() {
        assert_eq!([percent(0, 0), percent(1, 3), percent(3, 3), percent(0, 5)], [100, 33, 100, 0]);
    }
}
