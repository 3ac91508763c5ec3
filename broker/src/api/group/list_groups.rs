//! Answers ApiKey 16, ListGroups: every group that this broker coordinates, on all of its shards.

use std::rc::Rc;

use engine::group::{Groups, Listed};
use wire::list_groups::response::ListedGroup;
use wire::{ListGroupsRequest, ListGroupsResponse, Str};

use super::super::context::Call;
use super::super::errors::KafkaCode;
use super::super::number;
use crate::shard::Shard;

/// The one type of group so far.
const TYPE: &str = "classic";

pub(crate) async fn handle(call: Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let shared = call.shared();
    let mut groups = Vec::new();
    for index in 0..shared.shards() {
        let list = |shard: &Rc<Shard>| shard.coordinator.look_at_all(Groups::list);
        let listed = if index == call.shard().index {
            Some(list(call.shard()))
        } else {
            shared.shard(index).call(list).await
        };
        match listed {
            Some(Ok(listed)) => groups.extend(listed.into_iter().flatten()),
            Some(Err(unavailable)) => {
                let error_code = number(unavailable.code());
                return ListGroupsResponse { error_code, ..Default::default() };
            }
            // A shard that has ended coordinates nothing.
            None => {}
        }
    }
    groups.retain(|group| is_wanted(group, &request));
    groups.sort_unstable_by(|a, b| a.group.cmp(&b.group));
    let groups = groups.into_iter().map(|group| ListedGroup {
        group_id: Str::from(&*group.group),
        protocol_type: Str::from(&*group.protocol_type),
        group_state: Str::from(group.state.to_string()),
        group_type: Str::from_static(TYPE),
        ..Default::default()
    });
    ListGroupsResponse { groups: groups.collect(), ..Default::default() }
}

/// Names are compared without regard to case; no names let everything through.
fn is_wanted(group: &Listed, request: &ListGroupsRequest) -> bool {
    let is_among = |names: &[Str], name: &str| {
        names.is_empty() || names.iter().any(|one| one.eq_ignore_ascii_case(name))
    };
    is_among(&request.states_filter, &group.state.to_string())
        && is_among(&request.types_filter, TYPE)
}

#[cfg(test)]
mod tests {
    use engine::group::{GroupState, Listed};
    use wire::{ListGroupsRequest, Str};

    use super::is_wanted;

    #[test]
    fn filters_by_state_and_type_disregard_case() {
        let group = Listed {
            group: "g".into(),
            protocol_type: "consumer".into(),
            state: GroupState::PreparingRebalance,
        };
        for (states, types, expected) in [
            (&[][..], &[][..], true),
            (&["preparingrebalance"], &[], true),
            (&["Empty", "PREPARINGREBALANCE"], &["Classic"], true),
            (&["Stable"], &[], false),
            (&[], &["consumer"], false),
            (&[], &["nonsense"], false),
        ] {
            let names = |names: &[&'static str]| names.iter().map(|&n| Str::from(n)).collect();
            let request = ListGroupsRequest {
                states_filter: names(states),
                types_filter: names(types),
                ..Default::default()
            };
            assert_eq!(is_wanted(&group, &request), expected, "{states:?} {types:?}");
        }
    }
}
