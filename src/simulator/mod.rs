//! Stand-ins of vendor APIs to try a configuration against, and the oracle of the tests that kill the daemon.
//!
//! One process holds one account of one vendor in memory. It is strict where the vendor is (unknown properties, wrong
//! types, duplicate ids, quotas) and can be told to misbehave: a [`Fault`] is scripted in a file or at run time, a
//! [`Chaos`] is seeded. The endpoints under `/_sim/` judge what arrived; they are never limited and never faulted:
//!
//! | endpoint | does |
//! | --- | --- |
//! | `GET /_sim/report` | counts, quota windows, duplicates, overlaps (fields: see `judge.rs`) |
//! | `GET /_sim/records/{object}?offset=&limit=` | what the simulator holds |
//! | `GET /_sim/history/{object}/{id}` | the last versions of one record, oldest first |
//! | `GET /_sim/requests?limit=` | the latest vendor requests |
//! | `GET /_sim/wait?requests=N` | answers once N vendor requests arrived since the last reset, after 30 s at the latest |
//! | `POST /_sim/faults`, `DELETE /_sim/faults` | appends faults (one, a list, or `{"faults": []}`); removes all of them |
//! | `POST /_sim/release` | applies every late request now |
//! | `POST /_sim/edit {type, id, properties}` | a human edits a record |
//! | `POST /_sim/archive {type, id}` | a human deletes a record |
//! | `POST /_sim/merge {type, into, from}` | HubSpot: merges two records |
//! | `POST /_sim/secondary-email {id, email}` | HubSpot: gives a contact one more address |
//! | `POST /_sim/revoke {grant}` | revokes every access token, with `grant` the refresh tokens too |
//! | `POST /_sim/reset`, `POST /_sim/reset-requests` | forgets everything; forgets requests, counts and quotas |
//!
//! Nothing here knows a vendor except its own folder: a vendor implements `Vendor` and gets connections, quotas, faults
//! and the judge for free.

mod call;
mod chaos;
mod control;
mod faults;
mod flow;
mod http;
mod hubspot;
mod judge;
mod options;
mod quota;
mod script;
mod server;
mod state;
mod tokens;
mod vendor;
mod warehouse;

#[cfg(test)]
mod probe;
#[cfg(test)]
mod tests;

pub use chaos::Chaos;
pub use http::HttpOptions;
pub use hubspot::{HubSpotOptions, PropertySpec};
pub use options::{CommonOptions, OptionError, VendorConfig, VendorOptions, Window, parse_duration};
pub use script::{Fault, ScriptError, parse_faults};
pub use server::{Simulator, serve};
pub use tokens::{Rotation, TokenOptions};
pub use warehouse::{SampleCustomer, SampleWarehouse, WarehouseError};
