//! The text shown for a figure that would be too expensive to compute.

use longshore_model::repository::Storage;

use super::table::grouped;

/// Says that shared storage is not computed for `holders` ("a repository") with too many blobs and manifests.
pub fn not_worked_out(holders: &str) -> String {
    format!(
        "not worked out for {holders} with more than {} blobs and manifests",
        grouped(Storage::MOST_LOOKED_UP)
    )
}

#[cfg(test)]
mod tests {
    use super::not_worked_out;

    #[test]
    fn a_missing_figure_is_explained() {
        let said = not_worked_out("a namespace");
        assert_eq!(said, "not worked out for a namespace with more than 5,000 blobs and manifests");
    }
}
