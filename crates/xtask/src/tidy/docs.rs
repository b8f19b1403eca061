//! Links in the documentation lead somewhere. Never asks the network: only links into the checkout
//! are followed.

use std::path::Path;

use super::Finding;
use crate::tree::SourceFile;

/// Holds the rule against every Markdown file.
pub(super) fn check(root: &Path, files: &[SourceFile], findings: &mut Vec<Finding>) {
    for file in files.iter().filter(|file| file.is_any(&[".md"])) {
        let folder = root.join(&file.path);
        let folder = folder.parent().unwrap_or(root);
        for (line, link) in links(&file.text) {
            if !folder.join(link).exists() {
                let message = format!("the link to `{link}` leads nowhere: correct or remove it");
                findings.push(Finding::new(format!("{}:{line}", file.path), message));
            }
        }
    }
}

/// The targets of links into the checkout, with their lines. Code blocks hold none.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((number, target));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn only_links_into_the_checkout_are_followed() {
        let text = "[a](docs/a.md#part) and [b](https://example.org)\n```\n[c](c.md)\n```\n[d](#d) [e](e.md)";
        assert_eq!(links(text), [(1, "docs/a.md"), (5, "e.md")]);
    }
}
