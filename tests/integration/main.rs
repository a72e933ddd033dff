//! The one integration test binary: what Syncline does from outside.

mod destinations;
