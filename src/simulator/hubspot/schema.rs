//! The properties of an object.

use std::collections::HashMap;

/// A property's type, with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Date,
    Datetime,
    Bool,
    Email,
    /// One of the options.
    One(Vec<String>),
    /// Any of the options, joined by `;`.
    Many(Vec<String>),
}

/// One property.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unique: bool,
    pub(super) read_only: bool,
    pub(super) required: bool,
}

/// Position of a property in its schema.
pub(super) type PropertyId = usize;

/// The properties of one object; they are never removed.
pub(super) struct Schema {
    list: Vec<Property>,
    index: HashMap<String, PropertyId>,
    accept_any: bool,
}

/// Every object has these; their values are derived from the record.
pub(super) const HS_OBJECT_ID: &str = "hs_object_id";
/// HubSpot's list of the ids that were merged into a record, joined by `;`.
pub(super) const MERGED_IDS: &str = "hs_merged_object_ids";
/// A contact's further addresses, joined by `;`.
pub(super) const ADDITIONAL_EMAILS: &str = "hs_additional_emails";

impl Schema {
    /// The standard properties of `object`.
    pub(super) fn standard(object: &str, accept_any: bool) -> Self {
        let mut schema = Self { list: Vec::new(), index: HashMap::new(), accept_any };
        for name in [HS_OBJECT_ID, "hs_createdate", "hs_lastmodifieddate", "createdate", "lastmodifieddate", MERGED_IDS]
        {
            let kind = if name.ends_with("date") { Kind::Datetime } else { Kind::String };
            schema.declare(name, kind, false, true);
        }
        let (strings, others) = standard(object);
        for name in strings {
            schema.declare(name, Kind::String, false, false);
        }
        for (name, kind) in others {
            let (unique, read_only) = (kind == Kind::Email, name == ADDITIONAL_EMAILS);
            schema.declare(name, kind, unique, read_only);
        }
        schema
    }

    /// Adds a property, or changes the one of that name.
    pub(super) fn declare(&mut self, name: &str, kind: Kind, unique: bool, read_only: bool) -> PropertyId {
        let property = Property { name: name.to_owned(), kind, unique, read_only, required: false };
        let known = self.index.get(name).copied();
        if let Some((id, slot)) = known.and_then(|id| Some((id, self.list.get_mut(id)?))) {
            *slot = property;
            return id;
        }
        self.list.push(property);
        self.index.insert(name.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }

    /// Makes a property identify records; `false` when there is none of that name.
    pub(super) fn make_unique(&mut self, name: &str) -> bool {
        let property = self.index.get(name).and_then(|id| self.list.get_mut(*id));
        property.map(|property| property.unique = true).is_some()
    }

    /// Makes a property one that the object's schema requires.
    pub(super) fn make_required(&mut self, id: PropertyId) {
        if let Some(property) = self.list.get_mut(id) {
            property.required = true;
        }
    }

    /// The property of that name.
    pub(super) fn find(&self, name: &str) -> Option<PropertyId> {
        self.index.get(name).copied()
    }

    /// The property of that name, declared now if the portal accepts any.
    pub(super) fn find_or_declare(&mut self, name: &str) -> Option<PropertyId> {
        match self.find(name) {
            None if self.accept_any => Some(self.declare(name, Kind::String, false, false)),
            known => known,
        }
    }

    /// The property at a position.
    pub(super) fn get(&self, id: PropertyId) -> Option<&Property> {
        self.list.get(id)
    }

    /// All properties in the order of their declaration.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Property> {
        self.list.iter()
    }
}

type Typed = Vec<(&'static str, Kind)>;

fn standard(object: &str) -> (&'static [&'static str], Typed) {
    match object {
        "contacts" => (
            &[
                "firstname",
                "lastname",
                "phone",
                "mobilephone",
                "company",
                "website",
                "jobtitle",
                "address",
                "city",
                "state",
                "zip",
                "country",
                "salutation",
                "hs_language",
                "annualrevenue",
                "date_of_birth",
            ],
            vec![
                ("email", Kind::Email),
                (ADDITIONAL_EMAILS, Kind::String),
                ("lifecyclestage", one(LIFECYCLE)),
                ("hs_lead_status", one(&["NEW", "OPEN", "IN_PROGRESS", "CONNECTED", "UNQUALIFIED"])),
            ],
        ),
        "companies" => (
            &[
                "name",
                "domain",
                "website",
                "phone",
                "address",
                "city",
                "state",
                "zip",
                "country",
                "industry",
                "description",
            ],
            vec![
                ("numberofemployees", Kind::Number),
                ("annualrevenue", Kind::Number),
                ("lifecyclestage", one(LIFECYCLE)),
            ],
        ),
        "deals" => (
            &["dealname", "dealstage", "pipeline", "dealtype", "description"],
            vec![("amount", Kind::Number), ("closedate", Kind::Datetime)],
        ),
        "tickets" => (
            &["subject", "content", "hs_pipeline", "hs_pipeline_stage"],
            vec![("hs_ticket_priority", one(&["LOW", "MEDIUM", "HIGH", "URGENT"]))],
        ),
        "products" => (&["name", "description", "hs_sku"], vec![("price", Kind::Number)]),
        _ => (&["name"], Vec::new()),
    }
}

const LIFECYCLE: &[&str] = &[
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
];

fn one(options: &[&str]) -> Kind {
    Kind::One(options.iter().map(|option| (*option).to_owned()).collect())
}
