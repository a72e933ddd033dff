//! Everything over HTTP.

/// One account.
#[derive(Debug)]
pub struct Account;
/// A fault.
#[derive(Debug)]
pub struct Fault;
/// A vendor's words.
#[derive(Debug)]
pub struct VendorText;
