//! The three servers, each in a folder of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tokio_postgres::Client;

use super::super::server::{Server, User, find, finish, until};
use super::connect;
use crate::Fault;

/// Where Debian and others put the programs that are not on the PATH.
const FOLDERS: [&str; 4] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/pgsql/bin",
];

/// The standbys, as the primary knows them.
const STANDBYS: [&str; 2] = ["s1", "s2"];

/// What differs from the defaults: who may connect, and that changes are sent.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 120
wal_level = replica
max_wal_senders = 10
wal_keep_size = '512MB'
hot_standby = on
fsync = on
synchronous_commit = on
logging_collector = off
";

#[derive(Debug)]
pub(super) struct Cluster {
    servers: Vec<Server>,
    /// Where the primary answers.
    address: String,
}

impl Cluster {
    /// One of PostgreSQL's programs.
    pub(super) fn program(name: &str) -> Option<PathBuf> {
        find(name, &FOLDERS)
    }

    pub(super) fn version() -> Option<String> {
        let output = Command::new(Self::program("postgres")?)
            .arg("--version")
            .output();
        let said = String::from_utf8(output.ok()?.stdout).ok()?;
        Some(said.trim().to_owned())
    }

    /// Starts the primary, copies it twice and starts the copies as standbys.
    pub(super) async fn start(folder: &Path) -> Result<Self, Fault> {
        let user = User::unprivileged()?;
        let ports = holdpoint_tests::ports::free(3);
        let address = ports.first().cloned().unwrap_or_default();
        let primary = folder.join("postgres");
        user.own_folder(&primary)?;
        let mut initdb = user.command(&required("initdb")?, folder);
        initdb
            .args(["--username", "postgres", "--auth", "trust", "--no-locale"])
            .args(["--encoding", "UTF8", "--no-sync", "--pgdata"])
            .arg(&primary);
        finish(initdb)?;
        configure(&primary, &address, "")?;
        let mut servers = vec![serve(user, &primary)?];
        let connection = until("the database does not answer", || connect(&address)).await?;
        for (name, own) in STANDBYS.iter().zip(ports.iter().skip(1)) {
            let standby = folder.join(name);
            user.own_folder(&standby)?;
            let (host, port) = address.split_once(':').ok_or("an address has a port")?;
            let source = format!("host={host} port={port} user=postgres");
            let mut copy = user.command(&required("pg_basebackup")?, folder);
            copy.args(["--checkpoint", "fast", "--no-sync", "--write-recovery-conf"])
                .args(["--dbname", &source, "--pgdata"])
                .arg(&standby);
            finish(copy)?;
            let source = format!("primary_conninfo = '{source} application_name={name}'\n");
            configure(&standby, own, &source)?;
            servers.push(serve(user, &standby)?);
        }
        let names = format!("'ANY 1 ({})'", STANDBYS.join(", "));
        let setting = format!("ALTER SYSTEM SET synchronous_standby_names = {names}");
        connection.batch_execute(&setting).await?;
        connection.batch_execute("SELECT pg_reload_conf()").await?;
        Ok(Self { servers, address })
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::pid).collect()
    }

    pub(super) async fn connect(&self) -> Result<Client, Fault> {
        connect(&self.address).await
    }

    /// Waits until both standbys stream and count for a quorum.
    pub(super) async fn until_synchronous(&self, connection: &Client) -> Result<(), Fault> {
        let question = "SELECT count(*) FROM pg_stat_replication
                        WHERE state = 'streaming' AND sync_state = 'quorum'";
        until("the standbys do not follow", || async {
            let row = connection.query_one(question, &[]).await?;
            match row.try_get::<_, i64>(0)? {
                2 => Ok(()),
                other => Err(format!("{other} of 2 follow").into()),
            }
        })
        .await
    }
}

fn required(name: &str) -> Result<PathBuf, Fault> {
    Cluster::program(name).ok_or_else(|| format!("`{name}` of PostgreSQL is not installed").into())
}

/// Appends to the configuration; what is said last counts.
fn configure(data: &Path, address: &str, more: &str) -> Result<(), Fault> {
    let (_, port) = address.split_once(':').ok_or("an address has a port")?;
    let path = data.join("postgresql.auto.conf");
    let mut text = fs::read_to_string(&path)?;
    text.push_str(CONFIGURATION);
    writeln!(text, "port = {port}\n{more}")?;
    fs::write(&path, text)?;
    Ok(())
}

/// Starts the server of a folder. SIGQUIT stops it with all of its processes, at once.
fn serve(user: User, data: &Path) -> Result<Server, Fault> {
    let mut command = user.command(&required("postgres")?, data);
    command.arg("-D").arg(data);
    let log = data.with_extension("log");
    Server::start(command, &log, Signal::QUIT)
}
