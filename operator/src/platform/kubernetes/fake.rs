//! An API server in memory, for tests: objects by path, server-side apply by one manager, versions that grow. What is
//! the real one's to decide (validation, garbage collection, pods) the tests do by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Cache;
use super::cache::Watched;

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct ApiServer(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// By path, as `/api/v1/namespaces/shop/services/demo`.
    objects: BTreeMap<String, Value>,
    version: u64,
    /// Writes that succeeded, as `PATCH /api/…`.
    writes: Vec<String>,
    /// Plurals of what may not be written.
    forbidden: BTreeSet<String>,
    /// How many of the next merges are refused, as if somebody else had been faster.
    conflicts: u32,
}

impl ApiServer {
    /// The way to it.
    pub(super) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }

    /// Puts an object in, as somebody else would.
    pub(super) fn put(&self, watched: Watched, object: Value) {
        let path = path(watched, &object);
        self.held().store(path, object);
    }

    /// Takes an object out.
    pub(super) fn take(&self, watched: Watched, name: &str) -> Option<Value> {
        let of = json!({ "metadata": { "namespace": "shop", "name": name } });
        self.held().objects.remove(&path(watched, &of))
    }

    /// An object of the namespace `shop`.
    pub(super) fn object(&self, watched: Watched, name: &str) -> Option<Value> {
        let of = json!({ "metadata": { "namespace": "shop", "name": name } });
        self.held().objects.get(&path(watched, &of)).cloned()
    }

    /// The writes so far.
    pub(super) fn writes(&self) -> Vec<String> {
        self.held().writes.clone()
    }

    /// Nobody may write these from now on; all may if there are none.
    pub(super) fn forbid(&self, plurals: &[&str]) {
        self.held().forbidden = plurals.iter().map(|it| (*it).to_owned()).collect();
    }

    /// Refuses so many of the next merges, as if somebody else had been faster.
    pub(super) fn conflict(&self, times: u32) {
        self.held().conflicts = times;
    }

    /// Has the watches show all that there is.
    pub(super) fn show(&self, cache: &mut Cache) {
        for watched in Watched::ALL {
            let plural = format!("/{}/", watched.names().3);
            let held = self.held();
            let of_kind = held.objects.iter().filter(|(path, _)| path.contains(&plural));
            let objects: Vec<Value> = of_kind.map(|(_, object)| object.clone()).collect();
            drop(held);
            let labelled = |it: &Value| {
                watched.kind().is_some()
                    || it["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "klamm"
            };
            let shown: Vec<Value> = objects.into_iter().filter(labelled).collect();
            let names: Vec<_> = shown.iter().filter_map(super::cache::name_of).collect();
            cache.keep_only(watched, &names, |_| true);
            for object in shown {
                cache.applied(watched, object);
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn store(&mut self, path: String, mut object: Value) -> Value {
        self.version += 1;
        let version = self.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{version}"));
        }
        self.objects.insert(path, object.clone());
        object
    }

    /// What the manager applies is what there is; the server's own fields stay.
    fn apply(&mut self, path: String, mut object: Value) -> Value {
        if let Some(old) = self.objects.get(&path) {
            object["status"] = old["status"].clone();
            object["metadata"]["uid"] = old["metadata"]["uid"].clone();
        }
        self.store(path, object)
    }

    fn apply_status(&mut self, path: &str, status: &Value) -> Result<Value, Refusal> {
        let mut object = self.objects.get(path).cloned().ok_or_else(missing)?;
        object["status"] = status.clone();
        Ok(self.store(path.to_owned(), object))
    }

    fn merge(&mut self, path: &str, patch: Value) -> Result<Value, Refusal> {
        let mut object = self.objects.get(path).cloned().ok_or_else(missing)?;
        let wanted = &patch["metadata"]["resourceVersion"];
        if self.conflicts > 0
            || !wanted.is_null() && *wanted != object["metadata"]["resourceVersion"]
        {
            self.conflicts = self.conflicts.saturating_sub(1);
            return Err((StatusCode::CONFLICT, "the object has been modified"));
        }
        merge(&mut object, patch);
        Ok(self.store(path.to_owned(), object))
    }
}

type Refusal = (StatusCode, &'static str);

fn missing() -> Refusal {
    (StatusCode::NOT_FOUND, "there is none")
}

async fn answer(
    State(server): State<ApiServer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (code, value) = match decide(&server, &method, uri.path(), &headers, body) {
        Ok(value) => (StatusCode::OK, value),
        Err((code, message)) => {
            let reason = if code == StatusCode::NOT_FOUND { "NotFound" } else { "Refused" };
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": message, "reason": reason, "code": code.as_u16(),
            });
            (code, status)
        }
    };
    (code, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn decide(
    server: &ApiServer,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: Value,
) -> Result<Value, Refusal> {
    let mut held = server.held();
    if *method == Method::GET {
        return match held.objects.get(path) {
            Some(object) => Ok(object.clone()),
            None if is_list(path) => Ok(list(&held, path)),
            None => Err(missing()),
        };
    }
    if held.forbidden.iter().any(|plural| path.split('/').any(|part| part == plural)) {
        return Err((StatusCode::FORBIDDEN, "that is forbidden"));
    }
    let kind =
        headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let is_apply = kind.contains("apply-patch");
    let written = match (method, path.strip_suffix("/status")) {
        (&Method::PATCH, Some(of)) => held.apply_status(of, &body["status"])?,
        (&Method::PATCH, None) if is_apply => held.apply(path.to_owned(), body),
        (&Method::PATCH, None) => held.merge(path, body)?,
        (&Method::DELETE, _) => held.objects.remove(path).ok_or_else(missing)?,
        (_, _) => return Err((StatusCode::METHOD_NOT_ALLOWED, "nobody asks this")),
    };
    held.writes.push(format!("{method} {path}"));
    Ok(written)
}

/// Whether a path names all of a kind: it ends in the kind's plural.
fn is_list(path: &str) -> bool {
    Watched::ALL.iter().any(|it| path.rsplit('/').next() == Some(it.names().3))
}

fn list(held: &Held, path: &str) -> Value {
    let plural = path.rsplit('/').next().unwrap_or_default();
    let part = format!("/{plural}/");
    let items: Vec<&Value> =
        held.objects.iter().filter(|(at, _)| at.contains(&part)).map(|(_, it)| it).collect();
    json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": items })
}

fn path(watched: Watched, object: &Value) -> String {
    let (group, version, _, plural) = watched.names();
    let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    format!("{root}/{version}/namespaces/{}/{plural}/{}", text("namespace"), text("name"))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}
