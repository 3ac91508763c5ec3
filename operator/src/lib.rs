//! Makes the brokers match the resources: observe, plan, apply, status.
