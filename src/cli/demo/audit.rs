//! Model against CRM, field by field, past everything that Syncline knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::simulator::SampleCustomer;

/// A contact as the simulator holds it: stored properties only.
#[derive(Deserialize)]
pub(super) struct Contact {
    properties: BTreeMap<String, String>,
    archived: bool,
}

/// What the audit found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Audit {
    /// Customers that the model returns.
    pub(super) customers: usize,
    /// Contacts that are not archived.
    pub(super) contacts: usize,
    /// Values compared.
    pub(super) values: usize,
    /// Customers without a contact.
    pub(super) missing: usize,
    /// Contacts with a value that is not the model's.
    pub(super) wrong: usize,
    /// Contacts without a customer, second contacts of a customer included.
    pub(super) orphans: usize,
}

impl Audit {
    /// Whether the CRM is what the model says.
    pub(super) const fn is_clean(&self) -> bool {
        self.missing + self.wrong + self.orphans == 0
    }
}

/// Compares every customer with every contact that is not archived.
pub(super) fn audit(customers: Vec<SampleCustomer>, contacts: &[Contact]) -> Audit {
    let live = contacts.iter().filter(|contact| !contact.archived);
    let mut expected: BTreeMap<String, Expected> = customers.into_iter().map(expect).collect();
    let customers = expected.len();
    let mut found = Audit { customers, contacts: 0, values: 0, missing: 0, wrong: 0, orphans: 0 };
    for contact in live {
        found.contacts += 1;
        let email = contact.properties.get("email");
        match email.and_then(|email| expected.remove(email)) {
            Some(fields) => {
                found.values += fields.len() + 1;
                let same = |(name, value): &(&str, Option<String>)| contact.properties.get(*name) == value.as_ref();
                found.wrong += usize::from(!fields.iter().all(same));
            }
            None => found.orphans += 1,
        }
    }
    found.missing = expected.len();
    found
}

type Expected = [(&'static str, Option<String>); 5];

/// A customer's address, in lower case as HubSpot keeps it, and the other properties.
fn expect(customer: SampleCustomer) -> (String, Expected) {
    let fields = [
        ("firstname", Some(customer.first_name)),
        ("lastname", Some(customer.last_name)),
        ("company", customer.company),
        ("plan", customer.plan),
        ("mrr", Some(money(customer.mrr_cents))),
    ];
    (customer.email.to_lowercase(), fields)
}

/// Cents as a decimal without needless zeros: `49`, `49.5`, `49.05`.
fn money(cents: i64) -> String {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(email: &str) -> SampleCustomer {
        SampleCustomer {
            email: email.to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Adams".to_owned(),
            company: None,
            plan: Some("team".to_owned()),
            mrr_cents: 4950,
        }
    }

    fn contact(email: &str, plan: &str, archived: bool) -> Contact {
        let properties =
            [("email", email), ("firstname", "Ada"), ("lastname", "Adams"), ("plan", plan), ("mrr", "49.5")];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Contact { properties: properties.into(), archived }
    }

    #[test]
    fn equal_sides_are_clean() {
        let found = audit(vec![customer("A@x.y")], &[contact("a@x.y", "team", false), contact("b@x.y", "team", true)]);
        assert_eq!(found, Audit { customers: 1, contacts: 1, values: 6, missing: 0, wrong: 0, orphans: 0 });
        assert!(found.is_clean());
    }

    #[test]
    fn each_difference_is_counted() {
        let customers = ["a@x.y", "b@x.y", "c@x.y"].map(customer).into();
        let contacts = [
            contact("a@x.y", "free", false),
            contact("b@x.y", "team", true),
            contact("c@x.y", "team", false),
            contact("c@x.y", "team", false),
            contact("d@x.y", "team", false),
        ];
        let found = audit(customers, &contacts);
        assert_eq!((found.missing, found.wrong, found.orphans), (1, 1, 2));
        assert!(!found.is_clean());
    }

    #[test]
    fn money_has_no_needless_zeros() {
        assert_eq!([4900, 4950, 4905, 0, 100].map(money), ["49", "49.5", "49.05", "0", "1"]);
    }
}
