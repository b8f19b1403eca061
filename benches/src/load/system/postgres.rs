//! PostgreSQL: one server with two synchronous standbys, of which any one must have it on disk.
//!
//! A key is a row: `INSERT … ON CONFLICT DO NOTHING RETURNING`, and a `SELECT` of the holder where that
//! gave nothing. Each worker has a connection of its own, up to a hundred; beyond, several share one and
//! their statements go in a row. The hot key of W3 is a row that each worker locks (`SELECT … FOR UPDATE`),
//! numbers and commits in one transaction: the lock is the queue, and each hand-over one durable commit.

mod cluster;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::{Claim, Inside, NoAnswer, System, Worker, value};
use crate::Fault;
use cluster::Cluster;

/// Connections of all workers together.
const CONNECTIONS_MAX: usize = 100;

const TABLE: &str = "
    CREATE TABLE permit (key text PRIMARY KEY, value bytea NOT NULL, redeemed bool NOT NULL);
    CREATE TABLE hot (key text PRIMARY KEY, fence bigint NOT NULL, value bytea NOT NULL)";

/// A server and its standbys.
#[derive(Debug)]
pub(crate) struct Postgres {
    cluster: Cluster,
    connections: Vec<OnceCell<Arc<Connection>>>,
}

impl Postgres {
    /// What is missing here to start it; none if nothing is.
    pub(crate) fn missing() -> Option<String> {
        let missing = "PostgreSQL is not installed (Debian: apt-get install postgresql-15)";
        Cluster::program("initdb")
            .is_none()
            .then(|| missing.to_owned())
    }

    /// What it says of its version.
    pub(crate) fn version() -> Option<String> {
        Cluster::version()
    }

    /// Starts the three servers in `folder` and waits until both standbys follow.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Fault> {
        let cluster = Cluster::start(folder).await?;
        let connection = cluster.connect().await?;
        connection.batch_execute(TABLE).await?;
        cluster.until_synchronous(&connection).await?;
        let connections = (0..CONNECTIONS_MAX).map(|_| OnceCell::new()).collect();
        Ok(Self {
            cluster,
            connections,
        })
    }
}

impl System for Postgres {
    type Worker = Asker;

    fn processes(&self) -> Vec<u32> {
        self.cluster.processes()
    }

    async fn worker(&self, number: usize) -> Result<Asker, Fault> {
        let place = number.checked_rem(CONNECTIONS_MAX).unwrap_or_default();
        let connection = self.connections.get(place).ok_or("no such connection")?;
        let connect = || async { Connection::prepared(self.cluster.connect().await?).await };
        let connection = Arc::clone(connection.get_or_try_init(connect).await?);
        Ok(Asker { connection })
    }
}

/// A connection with its prepared statements.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    insert: Statement,
    holder: Statement,
    redeem: Statement,
    delete: Statement,
    lock: Statement,
    number: Statement,
    /// Whoever is between BEGIN and COMMIT has the connection alone.
    transaction: Mutex<()>,
}

impl Connection {
    async fn prepared(client: Client) -> Result<Arc<Self>, Fault> {
        let insert =
            "INSERT INTO permit VALUES ($1, $2, false) ON CONFLICT DO NOTHING RETURNING key";
        let redeem =
            "UPDATE permit SET redeemed = true WHERE key = $1 AND NOT redeemed RETURNING key";
        Ok(Arc::new(Self {
            insert: client.prepare(insert).await?,
            holder: client
                .prepare("SELECT value FROM permit WHERE key = $1")
                .await?,
            redeem: client.prepare(redeem).await?,
            delete: client
                .prepare("DELETE FROM permit WHERE key = $1 RETURNING key")
                .await?,
            lock: client
                .prepare("SELECT fence FROM hot WHERE key = $1 FOR UPDATE")
                .await?,
            number: client
                .prepare("UPDATE hot SET fence = fence + 1, value = $2 WHERE key = $1")
                .await?,
            transaction: Mutex::new(()),
            client,
        }))
    }
}

/// A worker.
#[derive(Debug)]
pub(crate) struct Asker {
    connection: Arc<Connection>,
}

/// A key, and the value that says that it is this attempt's.
#[derive(Debug)]
pub(crate) struct Attempt {
    key: String,
    value: Vec<u8>,
}

impl Worker for Asker {
    type Attempt = Attempt;
    type Permit = String;

    fn attempt(&self, key: &str, number: u64) -> Attempt {
        Attempt {
            key: key.to_owned(),
            value: value(number),
        }
    }

    async fn claim(&mut self, attempt: &Attempt) -> Result<Claim<String>, NoAnswer> {
        let Connection {
            client,
            insert,
            holder,
            ..
        } = &*self.connection;
        let Attempt { key, value } = attempt;
        let inserted = client.query_opt(insert, &[key, value]).await;
        if inserted.map_err(|error| no_answer(&error))?.is_some() {
            return Ok(Claim::Granted(key.clone()));
        }
        let found = client.query_opt(holder, &[key]).await;
        let found = found.map_err(|error| no_answer(&error))?;
        let is_ours = found.is_some_and(|row| row.get::<_, &[u8]>(0) == value.as_slice());
        Ok(if is_ours {
            Claim::Granted(key.clone())
        } else {
            Claim::Held
        })
    }

    fn set_aside(_permit: String) {}

    async fn give_back(&mut self, permit: String) -> Result<(), NoAnswer> {
        self.step(&self.connection.delete, &permit).await
    }

    async fn fulfil(&mut self, permit: String) -> Result<(), NoAnswer> {
        self.step(&self.connection.redeem, &permit).await?;
        self.step(&self.connection.delete, &permit).await
    }

    async fn hand_over(&mut self, attempt: &Attempt, inside: &Inside) -> Result<(), NoAnswer> {
        let Connection {
            client,
            lock,
            number,
            transaction,
            ..
        } = &*self.connection;
        let Attempt { key, value } = attempt;
        let _alone = transaction.lock().await;
        // Two statements in one round trip, before and after.
        let (at, to): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 2]) = ([key], [key, value]);
        let begun = tokio::try_join!(client.batch_execute("BEGIN"), client.query_opt(lock, &at));
        let ((), row) = begun.map_err(|error| no_answer(&error))?;
        if row.is_none() {
            // The first one makes the row; who comes at the same moment finds it there.
            let made = "INSERT INTO hot VALUES ($1, 0, $2) ON CONFLICT DO NOTHING";
            let made = client.execute(made, &[key, value]).await;
            made.map_err(|error| no_answer(&error))?;
            let committed = client.batch_execute("COMMIT").await;
            committed.map_err(|error| no_answer(&error))?;
            return Err(NoAnswer("the row was not there yet".to_owned()));
        }
        drop(inside.enter());
        let ended = tokio::try_join!(client.execute(number, &to), client.batch_execute("COMMIT"));
        ended.map(drop).map_err(|error| no_answer(&error))
    }
}

impl Asker {
    async fn step(&self, statement: &Statement, key: &String) -> Result<(), NoAnswer> {
        let changed = self.connection.client.query_opt(statement, &[key]).await;
        match changed.map_err(|error| no_answer(&error))? {
            Some(_) => Ok(()),
            None => Err(NoAnswer("the row is another one's".to_owned())),
        }
    }
}

fn no_answer(error: &tokio_postgres::Error) -> NoAnswer {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    NoAnswer(code.map_or_else(|| error.to_string(), str::to_owned))
}

/// Connects, and drives the connection in the background until its client drops.
async fn connect(address: &str) -> Result<Client, Fault> {
    let (host, port) = address.split_once(':').ok_or("an address has a port")?;
    let words = format!("host={host} port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&words, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
