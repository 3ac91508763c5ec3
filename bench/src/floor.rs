//! The floor: what any broker must at least do. Receives Produce requests, checks each batch's checksum,
//! appends it to one file per partition, acknowledges. No metadata, no index, no consumer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use bytes::Bytes;
use wire::frame::{self, Head};
use wire::produce::response::{PartitionProduceResponse, TopicProduceResponse};
use wire::record::Batch;
use wire::visit::produce::Produce;
use wire::{ProduceResponse, Reader, Str};

use crate::connection::Connection;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9399")]
    listen: String,
    /// Where the files go.
    #[arg(long)]
    folder: PathBuf,
}

type Files = Arc<Mutex<BTreeMap<i32, (Arc<File>, u64)>>>;

pub(crate) fn run(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.folder)?;
    let listener = TcpListener::bind(&args.listen).context("cannot listen")?;
    let files = Files::default();
    for stream in listener.incoming() {
        let (stream, files, folder) = (stream?, Arc::clone(&files), args.folder.clone());
        std::thread::spawn(move || serve(stream, &files, &folder));
    }
    Ok(())
}

fn serve(stream: TcpStream, files: &Files, folder: &std::path::Path) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut receiver, mut sender) = Connection::over(stream)?.split();
    loop {
        let frame = receiver.receive()?;
        let mut reader = Reader::new(frame.clone());
        let head = Head::decode(&mut reader)?;
        let at = frame.len() - reader.remaining();
        let request = Produce::parse(&frame, at, head.version)?;
        for partition in request.partitions() {
            let batch = &frame[partition.records.clone().context("no records")?];
            Batch::parse(batch)?.verify()?;
            let (file, position) = place(files, folder, partition.index, batch.len())?;
            file.write_all_at(batch, position)?;
        }
        let response = answer(&request);
        let bytes: Bytes =
            frame::response(&response, head.version, head.correlation_id)?.into_bytes();
        sender.write_all(&bytes)?;
    }
}

fn place(
    files: &Files,
    folder: &std::path::Path,
    partition: i32,
    bytes: usize,
) -> Result<(Arc<File>, u64)> {
    let mut files = files.lock().expect("no thread panics while it holds it");
    if let std::collections::btree_map::Entry::Vacant(vacant) = files.entry(partition) {
        vacant.insert((Arc::new(File::create(folder.join(partition.to_string()))?), 0));
    }
    let (file, end) = files.get_mut(&partition).expect("it was put there");
    let position = *end;
    *end += bytes as u64;
    Ok((Arc::clone(file), position))
}

fn answer(request: &Produce<'_>) -> ProduceResponse {
    let partition_responses = request
        .partitions()
        .map(|partition| PartitionProduceResponse { index: partition.index, ..Default::default() })
        .collect();
    let topic = TopicProduceResponse {
        name: Str::from("bench"),
        partition_responses,
        ..Default::default()
    };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}
