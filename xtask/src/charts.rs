//! The README of each chart: what it is, how it is installed, and its values as `values.yaml` describes them.
//!
//! A comment that begins with `# --` is about the value below it; the lines that follow it go on.

/// A value of a chart.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    name: String,
    default: String,
    about: String,
}

/// The values of a chart that are described, by their names in full.
fn described(values: &str) -> Vec<Described> {
    let (mut found, mut about) = (Vec::new(), String::new());
    // The keys above, each with how far it is indented.
    let mut above: Vec<(usize, &str)> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(first) = text.strip_prefix("# -- ") {
            first.clone_into(&mut about);
        } else if let Some(more) = text.strip_prefix("# ").filter(|_| !about.is_empty()) {
            about = format!("{about} {more}");
        } else if let Some((key, default)) = text.split_once(':') {
            above.retain(|(of, _)| *of < indent);
            above.push((indent, key));
            let about = std::mem::take(&mut about);
            if !about.is_empty() {
                let name = above.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".");
                found.push(Described { name, default: default.trim().to_owned(), about });
            }
        }
    }
    found
}

/// The README of a chart.
fn readme(chart: &str, values: &str) -> String {
    let field = |name: &str| {
        let of = chart.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        of.unwrap_or_default().to_owned()
    };
    let (name, about, kubernetes) = (field("name"), field("description"), field("kubeVersion"));
    let mut text = format!(
        "# {name}\n\n{about}\n\nNeeds Kubernetes {}.\n\n```sh\nhelm install {name} charts/{name} --namespace \
         klamm-system --create-namespace\n```\n",
        format_args!(
            "{} or later",
            kubernetes.trim_matches('"').trim_start_matches(">=").trim_end_matches("-0")
        ),
    );
    let rows = described(values);
    if !rows.is_empty() {
        text += "\n## Values\n\n| Value | Default | |\n| --- | --- | --- |\n";
        let row = |it: &Described| format!("| `{}` | `{}` | {} |\n", it.name, it.default, it.about);
        text.extend(rows.iter().map(row));
    }
    text + "\nWritten from `Chart.yaml` and `values.yaml`: `KLAMM_UPDATE=1 cargo test -p xtask charts`.\n"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_value_has_its_name_in_full_and_all_of_its_comment() {
        let values = "# of nothing\nimage:\n  # -- Where it\n  # lies\n  repository: klamm\n# -- How many\nreplicas: 1\nrest: {}\n";
        let row = |name: &str, default: &str, about: &str| Described {
            name: name.to_owned(),
            default: default.to_owned(),
            about: about.to_owned(),
        };
        let wanted =
            [row("image.repository", "klamm", "Where it lies"), row("replicas", "1", "How many")];
        assert_eq!(described(values), wanted);
    }

    #[test]
    fn the_readmes_are_fresh() {
        let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts");
        for name in ["klamm-crds", "klamm-operator"] {
            let folder = charts.join(name);
            let chart = std::fs::read_to_string(folder.join("Chart.yaml")).expect("a chart");
            let values = std::fs::read_to_string(folder.join("values.yaml")).unwrap_or_default();
            let (file, wanted) = (folder.join("README.md"), readme(&chart, &values));
            if std::env::var_os("KLAMM_UPDATE").is_some() {
                std::fs::write(&file, &wanted).expect("the repository is writable");
            }
            let found = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(found == wanted, "{} is stale", file.display());
        }
    }
}
