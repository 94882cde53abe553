//! A Kubernetes API server in memory, as far as an agent can tell.

use std::collections::BTreeMap;

use brokkr_core::StackId;
use brokkr_core::plan::FIELD_MANAGER;
use serde_json::{Map, Value, json};

use super::object::{Fields, LABEL, Maker, Object, Place, fields_of};

/// What the agent did to an object.
#[derive(Clone, Debug)]
pub enum Deed {
    Created(Place, Object),
    /// The object before and after.
    Changed(Place, Object, Object),
    Deleted(Place, Object),
}

/// A request, taken apart.
pub struct Ask {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub body: Value,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
}

#[derive(Default)]
pub struct Api {
    pub objects: BTreeMap<Place, Object>,
    /// What the agent did since somebody last looked.
    pub deeds: Vec<Deed>,
    /// The time, in seconds.
    pub now: u64,
    version: u64,
}

const NAMESPACED: [(&str, &str, &str); 4] = [
    ("coordination.k8s.io/v1", "leases", "Lease"),
    ("v1", "configmaps", "ConfigMap"),
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
];
const CLUSTER_WIDE: [(&str, &str, &str); 2] = [
    ("v1", "namespaces", "Namespace"),
    (DEFINITIONS.0, DEFINITIONS.1, "CustomResourceDefinition"),
];
const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io/v1", "customresourcedefinitions");
/// A value that the server refuses wherever it stands.
pub const POISON: &str = "refused by the server";
/// The field that cannot be changed.
pub const FIXED: &str = "/data/fixed";
/// A value that it refuses only in earnest.
pub const QUOTA: &str = "too much for the quota";

/// A kind that is served.
pub struct Kind {
    api_version: String,
    plural: String,
    pub name: String,
    is_namespaced: bool,
}

impl Api {
    pub fn answer(&mut self, ask: &Ask) -> Answer {
        let path = ask.path.trim_matches('/');
        match path {
            "api" => return ok(self.discovery(str::is_empty)),
            "apis" => return ok(self.discovery(|group| !group.is_empty())),
            "version" => return ok(json!({ "gitVersion": "v1.33.0" })),
            "api/v1/nodes" => return ok(json!({ "metadata": {}, "items": [] })),
            _ => {}
        }
        let Some((kind, namespace, name)) = self.route(path) else {
            return refused(
                404,
                "the server could not find the requested resource",
                None,
            );
        };
        let Some(name) = name else {
            return match ask.method.as_str() {
                "GET" => self.list(&kind, namespace.as_deref(), ask),
                _ => self.create(&kind, namespace, &ask.body),
            };
        };
        let place = Place {
            api_version: kind.api_version.clone(),
            plural: kind.plural.clone(),
            namespace,
            name,
        };
        match ask.method.as_str() {
            "GET" => self.get(&place, &kind),
            "PATCH" => self.apply(&place, &kind, ask),
            "PUT" => self.replace(&place, &kind, &ask.body),
            _ => self.delete(&place, &ask.body),
        }
    }

    /// The kinds that are served now: the built-in ones, and those that are defined.
    pub fn kinds(&self) -> Vec<Kind> {
        let built_in = |is_namespaced| {
            move |(api_version, plural, name): &(&str, &str, &str)| Kind {
                api_version: (*api_version).to_owned(),
                plural: (*plural).to_owned(),
                name: (*name).to_owned(),
                is_namespaced,
            }
        };
        let text = |object: &Object, field: &str| {
            object
                .fields
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let defined = self
            .objects
            .iter()
            .filter(|(place, object)| place.plural == DEFINITIONS.1 && !object.deleting);
        let defined = defined.map(|(_, object)| Kind {
            api_version: format!("{}/v1", text(object, "/spec/group")),
            plural: text(object, "/spec/names/plural"),
            name: text(object, "/spec/names/kind"),
            is_namespaced: true,
        });
        let namespaced = NAMESPACED.iter().map(built_in(true));
        namespaced
            .chain(CLUSTER_WIDE.iter().map(built_in(false)))
            .chain(defined)
            .collect()
    }

    fn discovery(&self, is_wanted: impl Fn(&str) -> bool) -> Value {
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for kind in self.kinds() {
            let (group, version) = kind.api_version.split_once('/').unwrap_or(("", "v1"));
            if is_wanted(group) {
                groups.entry(group.to_owned()).or_default().push(json!({
                    "resource": kind.plural,
                    "responseKind": { "group": group, "version": version, "kind": kind.name },
                    "scope": if kind.is_namespaced { "Namespaced" } else { "Cluster" },
                    "verbs": ["get", "list", "patch", "delete", "create", "update"],
                }));
            }
        }
        let items = groups.into_iter().map(|(group, resources)| {
            json!({
                "metadata": { "name": group },
                "versions": [{ "version": "v1", "resources": resources }],
            })
        });
        json!({ "items": items.collect::<Vec<_>>() })
    }

    fn route(&self, path: &str) -> Option<(Kind, Option<String>, Option<String>)> {
        let segments: Vec<&str> = path.split('/').collect();
        let (api_version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, name) = match rest {
            [plural] => (*plural, None),
            [plural, name] => (*plural, Some((*name).to_owned())),
            _ => return None,
        };
        let kind = self
            .kinds()
            .into_iter()
            .find(|kind| kind.api_version == api_version && kind.plural == plural)?;
        (kind.is_namespaced == namespace.is_some()).then_some((
            kind,
            namespace.map(str::to_owned),
            name,
        ))
    }

    fn get(&self, place: &Place, kind: &Kind) -> Answer {
        match self.objects.get(place) {
            Some(object) => ok(object.render(place, &kind.name)),
            None => absent(place),
        }
    }

    fn list(&self, kind: &Kind, namespace: Option<&str>, ask: &Ask) -> Answer {
        let selector = ask
            .query
            .get("labelSelector")
            .and_then(|text| text.split_once('='));
        let is_selected = |object: &Object| {
            selector.is_none_or(|(key, value)| {
                let field = format!("/metadata/labels/{}", key.replace('/', "~1"));
                object.fields.get(&field).is_some_and(|has| has == value)
            })
        };
        let all = self.objects.iter().filter(|(place, object)| {
            place.api_version == kind.api_version
                && place.plural == kind.plural
                && place.namespace.as_deref() == namespace
                && is_selected(object)
        });
        let from = ask.query.get("continue").map_or("", String::as_str);
        let limit = ask
            .query
            .get("limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(500);
        let mut rest = all.filter(|(place, _)| place.name.as_str() >= from);
        let items: Vec<_> = rest
            .by_ref()
            .take(limit)
            .map(|(place, object)| object.render(place, &kind.name))
            .collect();
        let next = rest.next().map_or("", |(place, _)| &place.name);
        ok(json!({ "metadata": { "continue": next }, "items": items }))
    }

    /// Makes an object of the agent's own.
    fn create(&mut self, kind: &Kind, namespace: Option<String>, body: &Value) -> Answer {
        let Some(name) = body["metadata"]["name"].as_str() else {
            return refused(422, "no name", None);
        };
        let place = Place {
            api_version: kind.api_version.clone(),
            plural: kind.plural.clone(),
            namespace,
            name: name.to_owned(),
        };
        if self.objects.contains_key(&place) {
            return refused(409, "already exists", Some(&place.name));
        }
        if let Some(answer) = self.lacks_namespace(&place) {
            return answer;
        }
        let fields = body.as_object().map(fields_of).unwrap_or_default();
        let object = self.make(place.clone(), fields, FIELD_MANAGER, Maker::Agent);
        let answer = object.render(&place, &kind.name);
        self.deeds.push(Deed::Created(place, object));
        Answer {
            status: 201,
            body: answer,
        }
    }

    /// Puts an object there, whoever does it.
    pub fn make(&mut self, place: Place, fields: Fields, manager: &str, maker: Maker) -> Object {
        self.version += 1;
        let owned = fields.keys().cloned().collect();
        let object = Object {
            uid: format!("uid-{}", self.version),
            version: self.version,
            fields,
            managers: BTreeMap::from([((manager.to_owned(), "Update"), owned)]),
            finalizers: Vec::new(),
            deleting: false,
            maker,
            is_meddled_with: false,
            is_taken_as_it_was: false,
            applied_at: None,
        };
        self.objects.insert(place, object.clone());
        object
    }

    /// Changes an object, whoever does it.
    pub fn change(&mut self, place: &Place, change: impl FnOnce(&mut Object)) {
        if let Some(object) = self.objects.get_mut(place) {
            change(object);
            self.version += 1;
            object.version = self.version;
            if object.deleting && object.finalizers.is_empty() {
                self.drop_object(place);
            }
        }
    }

    fn change_unseen(&mut self, place: &Place) {
        if let Some(object) = self.objects.get_mut(place) {
            object.is_taken_as_it_was = true;
        }
    }

    fn replace(&mut self, place: &Place, kind: &Kind, body: &Value) -> Answer {
        let Some(before) = self.objects.get(place).cloned() else {
            return absent(place);
        };
        let required = body["metadata"]["resourceVersion"].as_str();
        if required != Some(&before.version.to_string()) {
            return refused(409, "the object has been modified", Some(&place.name));
        }
        let fields = body.as_object().map(fields_of).unwrap_or_default();
        self.change(place, |object| object.fields = fields);
        self.tell_change(place, before);
        self.get(place, kind)
    }

    fn apply(&mut self, place: &Place, kind: &Kind, ask: &Ask) -> Answer {
        let Some(body) = ask.body.as_object() else {
            return refused(400, "no object", None);
        };
        if let Some(answer) = self.lacks_namespace(place) {
            return answer;
        }
        if fields_of(body).values().any(|value| value == POISON) {
            return refused(422, "the value is refused", Some(&place.name));
        }
        if let Some(answer) = self.is_fixed(place, body) {
            return answer;
        }
        let is_dry = ask.query.contains_key("dryRun");
        if !is_dry && fields_of(body).values().any(|value| value == QUOTA) {
            return refused(403, "exceeded quota", Some(&place.name));
        }
        let metadata = &ask.body["metadata"];
        let requires = |field: &str| metadata[field].as_str().map(str::to_owned);
        let before = self.objects.get(place).cloned();
        let mut object = match &before {
            Some(before) => {
                let is_other = requires("uid").is_some_and(|uid| uid != before.uid);
                let is_newer = requires("resourceVersion")
                    .is_some_and(|version| version != before.version.to_string());
                if is_other || is_newer {
                    return refused(409, "the object has been modified", Some(&place.name));
                }
                before.clone()
            }
            None if requires("uid").is_some() => {
                return refused(409, "no existing object was found", Some(&place.name));
            }
            None => Object {
                uid: format!("uid-{}", self.version + 1),
                version: 0,
                fields: Fields::new(),
                managers: BTreeMap::new(),
                finalizers: Vec::new(),
                deleting: false,
                maker: maker_of(body),
                is_meddled_with: false,
                is_taken_as_it_was: false,
                applied_at: None,
            },
        };
        let manager = ask.query.get("fieldManager").map_or("", String::as_str);
        let is_changed = object.apply(manager, body, self.now);
        if is_dry || !is_changed {
            // A write that changes nothing may still be a taking over.
            if let Some(before) = before.filter(|before| !is_dry && before.maker != maker_of(body))
            {
                self.change_unseen(place);
                let deed = Deed::Changed(place.clone(), before, object.clone());
                self.deeds.push(deed);
            }
            return ok(object.render(place, &kind.name));
        }
        if place.plural == DEFINITIONS.1 {
            let established = json!([{ "type": "Established", "status": "True" }]);
            object
                .fields
                .insert("/status/conditions".to_owned(), established);
        }
        self.version += 1;
        object.version = self.version;
        self.objects.insert(place.clone(), object.clone());
        let answer = object.render(place, &kind.name);
        self.deeds.push(match before {
            None => Deed::Created(place.clone(), object),
            Some(before) => Deed::Changed(place.clone(), before, object),
        });
        ok(answer)
    }

    /// One field keeps the value that it was created with.
    fn is_fixed(&self, place: &Place, body: &Map<String, Value>) -> Option<Answer> {
        let has = self.objects.get(place)?.fields.get(FIXED)?;
        let wanted = fields_of(body);
        let is_other = wanted.get(FIXED).is_some_and(|wants| wants != has);
        is_other.then(|| {
            let mut answer = refused(422, "data.fixed: field is immutable", Some(&place.name));
            answer.body["details"]["causes"] =
                json!([{ "field": "data.fixed", "message": "Invalid value: field is immutable" }]);
            answer
        })
    }

    fn delete(&mut self, place: &Place, body: &Value) -> Answer {
        let Some(before) = self.objects.get(place).cloned() else {
            return absent(place);
        };
        let must = &body["preconditions"];
        let is_other = must["uid"].as_str().is_some_and(|uid| uid != before.uid);
        let version = before.version.to_string();
        let is_newer = must["resourceVersion"]
            .as_str()
            .is_some_and(|wants| wants != version);
        if is_other || is_newer {
            return refused(409, "the precondition does not hold", Some(&place.name));
        }
        if !before.deleting {
            self.deeds.push(Deed::Deleted(place.clone(), before));
        }
        self.change(place, |object| object.deleting = true);
        ok(json!({ "kind": "Status", "status": "Success" }))
    }

    /// A namespace takes what is in it along, a definition the objects of its kind.
    pub fn drop_object(&mut self, place: &Place) {
        let Some(object) = self.objects.remove(place) else {
            return;
        };
        match place.plural.as_str() {
            "namespaces" => self
                .objects
                .retain(|other, _| other.namespace.as_deref() != Some(&place.name)),
            "customresourcedefinitions" => {
                let group = object
                    .fields
                    .get("/spec/group")
                    .cloned()
                    .unwrap_or_default();
                let api_version = format!("{}/v1", group.as_str().unwrap_or_default());
                self.objects
                    .retain(|other, _| other.api_version != api_version);
            }
            _ => {}
        }
    }

    fn tell_change(&mut self, place: &Place, before: Object) {
        if let Some(after) = self.objects.get(place) {
            self.deeds
                .push(Deed::Changed(place.clone(), before, after.clone()));
        }
    }

    fn lacks_namespace(&self, place: &Place) -> Option<Answer> {
        let namespace = namespace(place.namespace.as_deref()?);
        (!self.objects.contains_key(&namespace)).then(|| absent(&namespace))
    }
}

pub fn namespace(name: &str) -> Place {
    Place {
        api_version: "v1".to_owned(),
        plural: "namespaces".to_owned(),
        namespace: None,
        name: name.to_owned(),
    }
}

fn maker_of(body: &Map<String, Value>) -> Maker {
    let fields = fields_of(body);
    let stack = fields.get(LABEL).and_then(Value::as_str);
    stack
        .and_then(|stack| stack.parse::<StackId>().ok())
        .map_or(Maker::Agent, Maker::Stack)
}

fn ok(body: Value) -> Answer {
    Answer { status: 200, body }
}

fn absent(place: &Place) -> Answer {
    refused(404, "not found", Some(&place.name))
}

pub fn refused(status: u16, message: &str, name: Option<&str>) -> Answer {
    let mut body = json!({ "kind": "Status", "message": message, "code": status });
    if let Some(name) = name {
        body["details"] = json!({ "name": name });
    }
    Answer { status, body }
}
