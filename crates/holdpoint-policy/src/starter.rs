//! The bundle that `holdpoint dev` starts with, built into the program.

use crate::bundle::Bundle;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../policies/starter/", $path)))),*]
    };
}

/// The files of the starter bundle by path. `dev` writes them out for the user to change.
pub const FILES: &[(&str, &str)] = files![
    "bundle.yaml",
    "calendars.yaml",
    "entities.json",
    "policies/demo.cedar",
    "policies/deploy.cedar",
    "policies/export.cedar",
    "policies/infra.cedar",
    "policies/payment.cedar",
    "schema.cedarschema",
    "surfaces.yaml",
    "tests/demo.yaml",
    "tests/deploy.yaml",
    "tests/export.yaml",
    "tests/infra.yaml",
    "tests/payment.yaml",
];

/// The starter bundle.
///
/// # Errors
///
/// None in a build whose tests passed: they load it.
pub fn bundle() -> Result<Bundle, crate::BundleError> {
    Bundle::new(FILES.iter().copied())
}
