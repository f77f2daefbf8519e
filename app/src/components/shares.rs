//! What is said in place of a figure for which too much would have to be looked up.

use longshore_model::repository::Storage;

use super::table::grouped;

/// Which `holders`, such as "a repository", have too many blobs and manifests to say what others hold as well.
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
    fn a_missing_figure_says_why_it_is_missing() {
        let said = not_worked_out("a namespace");
        assert_eq!(said, "not worked out for a namespace with more than 5,000 blobs and manifests");
    }
}
