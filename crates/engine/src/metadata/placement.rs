//! Where the replicas of new partitions go: a plan.
