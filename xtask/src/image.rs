//! `cargo xtask image`: the image that pods run, as an archive, without a daemon and without a registry.
//!
//! One layer FROM scratch: the static binary, the authorities that clients of the outside trust, a user, a place for
//! temporary files. The archive is read by everything that loads images: it holds an OCI index, and the manifest that
//! `docker load` (and with it kind and minikube) looks for. The same inputs give the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Where Debian keeps the authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The user that pods run as, and everybody else.
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nklamm:x:65532:65532:klamm:/:/sbin/nologin\n";

/// Build the image that pods run, as an archive.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the image is called [default: klamm:0.1.0, or klamm-orders-go:0.1.0].
    #[arg(long)]
    name: Option<String>,
    /// The image of the client that the README shows (`examples/orders-go`), and not that of Klamm.
    #[arg(long)]
    example: bool,
    /// Where the archive goes [default: target/NAME-ARCH.tar].
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// For which machines.
    #[arg(long, default_value = "amd64", value_parser = ["amd64", "arm64"])]
    arch: String,
    /// With which of cargo's profiles; `shipped` is smaller and takes longer, `dev` is for tests: the binary that they
    /// use anyway, beside the libraries that it loads.
    #[arg(long, default_value = "shipped", value_parser = ["shipped", "release", DEV])]
    profile: String,
}

/// The profile of what is tested, and the only one whose binary is not static.
const DEV: &str = "dev";

impl Default for Args {
    fn default() -> Self {
        let (arch, profile) = ("amd64".into(), "release".into());
        Self { name: None, example: false, output: None, arch, profile }
    }
}

/// Builds the image for this machine, quickly; gives its archive.
pub(crate) fn build_default(root: &Path) -> Result<PathBuf> {
    built(root, &Args::default())
}

/// Builds the image of the binary that tests use; gives its archive.
pub(crate) fn build_dev(root: &Path) -> Result<PathBuf> {
    let output = crate::bench::target(root).join("klamm-dev.tar");
    built(root, &Args { profile: DEV.into(), output: Some(output), ..Args::default() })
}

/// The same of the example's.
pub(crate) fn build_example(root: &Path) -> Result<PathBuf> {
    built(root, &Args { example: true, ..Args::default() })
}

fn built(root: &Path, args: &Args) -> Result<PathBuf> {
    run(root, args)?;
    Ok(args.output(root))
}

impl Args {
    fn program(&self) -> &'static str {
        if self.example { "klamm-orders-go" } else { "klamm" }
    }

    fn output(&self, root: &Path) -> PathBuf {
        let name = format!("{}-{}.tar", self.program(), self.arch);
        self.output.clone().unwrap_or_else(|| crate::bench::target(root).join(name))
    }
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let target = match args.arch.as_str() {
        "amd64" => "x86_64-unknown-linux-gnu",
        "arm64" => "aarch64-unknown-linux-gnu",
        other => bail!("no binary is built for {other}"),
    };
    let (binary, libraries) = match (args.example, args.profile.as_str()) {
        (true, _) => (build_go(root, &args.arch)?, Vec::new()),
        (false, DEV) => build_to_test(root, &args.arch)?,
        (false, profile) => (build(root, target, profile)?, Vec::new()),
    };
    let size = fs::metadata(&binary)?.len();
    let output = args.output(root);
    let name = args.name.clone().unwrap_or_else(|| format!("{}:0.1.0", args.program()));
    let program = format!("usr/bin/{}", args.program());
    let files = files(&program, &binary, &libraries)?;
    let archive = archive(&name, &args.arch, &program, &files)?;
    fs::write(&output, &archive).with_context(|| output.display().to_string())?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{}: {} for {}, {:.1} MiB, of which the binary is {:.1}",
        output.display(),
        name,
        args.arch,
        mib(archive.len() as u64),
        mib(size)
    );
    Ok(())
}

/// A static binary: an image FROM scratch has no libraries.
fn build(root: &Path, target: &str, profile: &str) -> Result<PathBuf> {
    let flags = "-C target-feature=+crt-static";
    let mut cargo = std::process::Command::new("cargo");
    cargo
        .args(["build", "--package", "klamm", "--profile", profile, "--target", target])
        .env(format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_")), flags)
        .current_dir(root);
    if target.starts_with("aarch64") {
        let gcc = "aarch64-linux-gnu-gcc";
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", gcc);
        cargo.env("CC_aarch64_unknown_linux_gnu", gcc);
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the binary could not be built: {status}");
    let binary = crate::bench::target(root).join(target).join(profile).join("klamm");
    Ok(binary)
}

/// The binary that tests use, without what only a debugger reads, and the libraries that it loads.
fn build_to_test(root: &Path, arch: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    let is_ours =
        matches!((arch, std::env::consts::ARCH), ("amd64", "x86_64") | ("arm64", "aarch64"));
    ensure!(is_ours, "with --profile {DEV} the image is for this machine, and not for {arch}");
    crate::suite::build_binaries(root)?;
    let built = crate::bench::target(root).join("debug/klamm");
    let binary = built.with_file_name("klamm-stripped");
    let text = |path: &Path| path.to_str().map(str::to_owned).context("the path is not text");
    let strip = ["--strip-debug", "-o", &text(&binary)?, &text(&built)?];
    crate::suite::command(root, "strip", &strip)?;
    let told = std::process::Command::new("ldd").arg(&binary).output().context("cannot run ldd")?;
    ensure!(told.status.success(), "ldd {}: {}", binary.display(), told.status);
    Ok((binary, libraries(&String::from_utf8(told.stdout)?)))
}

/// The files among what `ldd` tells, as `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`.
fn libraries(told: &str) -> Vec<PathBuf> {
    told.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// The example, as static as Klamm.
fn build_go(root: &Path, arch: &str) -> Result<PathBuf> {
    let binary = crate::bench::target(root).join(format!("klamm-orders-go-{arch}"));
    let status = std::process::Command::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-o"])
        .arg(&binary)
        .arg(".")
        .envs([("CGO_ENABLED", "0"), ("GOOS", "linux"), ("GOARCH", arch)])
        .current_dir(root.join("examples/orders-go"))
        .status()
        .context("cannot run go")?;
    ensure!(status.success(), "the example could not be built: {status}");
    Ok(binary)
}

/// What the image holds, by path.
fn files(
    program: &str,
    binary: &Path,
    libraries: &[PathBuf],
) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let authorities = fs::read(AUTHORITIES)
        .with_context(|| format!("{AUTHORITIES}; hint: install ca-certificates"))?;
    let mut files = BTreeMap::from([
        ("etc/passwd".to_owned(), (0o644, PASSWD.as_bytes().to_vec())),
        ("etc/ssl/certs/ca-certificates.crt".to_owned(), (0o644, authorities)),
        (program.to_owned(), (0o755, read(binary)?)),
    ]);
    for library in libraries {
        let path = library.to_str().context("a library's path is not text")?;
        files.insert(path.trim_start_matches('/').to_owned(), (0o755, read(library)?));
    }
    Ok(files)
}

/// The archive.
fn archive(
    name: &str,
    arch: &str,
    program: &str,
    files: &BTreeMap<String, (u32, Vec<u8>)>,
) -> Result<Vec<u8>> {
    let layer = layer(files)?;
    let layer_digest = digest(&layer);
    let config = json!({
        "architecture": arch,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": "65532:65532",
            "Entrypoint": [format!("/{program}")],
            "Env": ["PATH=/usr/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "WorkingDir": "/",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
    });
    let config = serde_json::to_vec(&config)?;
    let config_digest = digest(&config);
    let described = |media: &str, digest: &str, size: usize| json!({ "mediaType": media, "digest": format!("sha256:{digest}"), "size": size });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config_digest, config.len()),
        "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer_digest, layer.len())],
    });
    let manifest = serde_json::to_vec(&manifest)?;
    let manifest_digest = digest(&manifest);
    let mut entry =
        described("application/vnd.oci.image.manifest.v1+json", &manifest_digest, manifest.len());
    entry["platform"] = json!({ "architecture": arch, "os": "linux" });
    let (_, tag) = name.rsplit_once(':').context("an image's name ends with :TAG")?;
    entry["annotations"] = json!({
        // What containerd and docker call it.
        "io.containerd.image.name": reference(name),
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let docker: Value = json!([{
        "Config": blob(&config_digest),
        "RepoTags": [name],
        "Layers": [blob(&layer_digest)],
    }]);
    let parts: [(String, Vec<u8>); 6] = [
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), serde_json::to_vec(&index)?),
        ("manifest.json".to_owned(), serde_json::to_vec(&docker)?),
        (blob(&config_digest), config),
        (blob(&manifest_digest), manifest),
        (blob(&layer_digest), layer),
    ];
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in &parts {
        append(&mut tar, path, 0o644, bytes)?;
    }
    Ok(tar.into_inner()?)
}

/// The name with the host and the folder that docker leaves out.
fn reference(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

fn layer(files: &BTreeMap<String, (u32, Vec<u8>)>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut folders: Vec<String> = Vec::new();
    for path in files.keys() {
        for (at, _) in path.match_indices('/') {
            let folder = format!("{}/", &path[..at]);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    for folder in folders {
        append_folder(&mut tar, &folder, 0o755)?;
    }
    append_folder(&mut tar, "tmp/", 0o1777)?;
    for (path, (mode, bytes)) in files {
        append(&mut tar, path, *mode, bytes)?;
    }
    Ok(tar.into_inner()?)
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    Ok(tar.append_data(&mut header, path, bytes)?)
}

fn append_folder(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(mode);
    header.set_size(0);
    Ok(tar.append_data(&mut header, path, std::io::empty())?)
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Vec<u8> {
        let files = BTreeMap::from([("usr/bin/klamm".to_owned(), (0o755, b"binary".to_vec()))]);
        archive("klamm:1", "amd64", "usr/bin/klamm", &files).expect("it is made")
    }

    #[test]
    fn the_same_files_make_the_same_bytes() {
        assert_eq!(digest(&made()), digest(&made()));
    }

    #[test]
    fn every_digest_names_what_is_there() {
        let bytes = made();
        let mut tar = tar::Archive::new(bytes.as_slice());
        let mut parts = BTreeMap::new();
        for entry in tar.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            std::io::copy(&mut entry, &mut content).expect("it reads");
            parts.insert(path, content);
        }
        for (path, content) in parts.iter().filter(|(path, _)| path.starts_with("blobs/")) {
            assert_eq!(*path, format!("blobs/sha256/{}", digest(content)));
        }
        let docker: Value = serde_json::from_slice(&parts["manifest.json"]).expect("JSON");
        assert!(parts.contains_key(docker[0]["Layers"][0].as_str().expect("a layer")));
        assert!(parts.contains_key(docker[0]["Config"].as_str().expect("a config")));
    }

    #[test]
    fn a_name_is_what_container_runtimes_call_it() {
        assert_eq!(reference("klamm:1"), "docker.io/library/klamm:1");
        assert_eq!(reference("acme/klamm:1"), "docker.io/acme/klamm:1");
        assert_eq!(reference("ghcr.io/acme/klamm:1"), "ghcr.io/acme/klamm:1");
    }

    #[test]
    fn libraries_are_found_in_what_ldd_tells() {
        let told = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)\n\t/lib64/ld.so.2 (0x7f)\n";
        let found: Vec<String> =
            libraries(told).iter().map(|it| it.display().to_string()).collect();
        assert_eq!(found, ["/lib/x/libc.so.6", "/lib64/ld.so.2"]);
    }

    #[test]
    fn the_user_is_the_one_of_the_pods() {
        assert!(PASSWD.contains(":65532:65532:"));
    }
}
