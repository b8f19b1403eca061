//! etcd: three members as Debian packages them, asked at the leader.
//!
//! A key is taken by the transaction "create it if it is absent, else read it", without a lease: a
//! lease would be a second kind of work. The life of a permit is three transactions, each of which
//! compares the revision of the one before. The hot key of W3 is the recipe of etcd's own `concurrency`
//! package, which is fair and wakes one waiter at a time: everybody puts a key under a prefix and waits
//! until the one before it is deleted. (Creating one key if it is absent wakes all and lets one in.)

mod calls;
mod wire;

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tonic::transport::{Channel, Endpoint};

use super::server::{Server, find, until};
use super::{Claim, Inside, NoAnswer, System, Worker, value};
use crate::Fault;
use calls::{Client, Watcher};
use wire::{Compare, Range, RequestOp, Txn};

const PROGRAM: &str = "etcd";
const MEMBERS: usize = 3;

/// Three members.
#[derive(Debug)]
pub(crate) struct Etcd {
    servers: Vec<Server>,
    leader: Channel,
}

impl Etcd {
    /// What is missing here to start it; none if nothing is.
    pub(crate) fn missing() -> Option<String> {
        find(PROGRAM, &[])
            .is_none()
            .then(|| "etcd is not installed (Debian: apt-get install etcd-server)".to_owned())
    }

    /// The first line of what it says of its version.
    pub(crate) fn version() -> Option<String> {
        let output = Command::new(find(PROGRAM, &[])?).arg("--version").output();
        let said = String::from_utf8(output.ok()?.stdout).ok()?;
        said.lines().next().map(str::to_owned)
    }

    /// Starts three members in `folder` and connects to the one that leads.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Fault> {
        let program = find(PROGRAM, &[]).ok_or("etcd is not installed")?;
        let ports = holdpoint_tests::ports::free(2 * MEMBERS);
        let (clients, peers) = ports.split_at(MEMBERS);
        let named = |number: usize, peer: &String| format!("m{number}=http://{peer}");
        let members: Vec<String> = (0..).zip(peers).map(|(n, peer)| named(n, peer)).collect();
        let mut servers = Vec::new();
        for (number, (client, peer)) in clients.iter().zip(peers).enumerate() {
            let mut command = Command::new(&program);
            let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
            command
                .args(["--name", &format!("m{number}")])
                .arg("--data-dir")
                .arg(folder.join(format!("etcd-{number}")))
                .args(["--listen-client-urls", &client])
                .args(["--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer])
                .args(["--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &members.join(",")])
                .args(["--initial-cluster-state", "new"])
                // 8 GiB, the largest that its documentation advises: 2 GiB fill up in a long run.
                .args(["--quota-backend-bytes", "8589934592"])
                .args(["--logger", "zap", "--log-level", "warn"]);
            let log = folder.join(format!("etcd-{number}.log"));
            servers.push(Server::start(command, &log, Signal::KILL)?);
        }
        let leader = until("etcd has no leader", || leader(clients)).await?;
        Ok(Self { servers, leader })
    }
}

/// A channel to the member that leads, which all members agree on.
async fn leader(clients: &[String]) -> Result<Channel, Fault> {
    let mut found = None;
    for client in clients {
        let endpoint = Endpoint::from_shared(format!("http://{client}"))?.tcp_nodelay(true);
        let channel = endpoint.connect().await?;
        let status = Client::new(channel.clone()).status().await?;
        let member = status.header.unwrap_or_default().member_id;
        if status.leader == 0 {
            return Err("a member knows no leader".into());
        }
        if status.leader == member {
            found = Some(channel);
        }
    }
    found.ok_or_else(|| "no member says that it leads".into())
}

impl System for Etcd {
    type Worker = Asker;

    fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::pid).collect()
    }

    async fn worker(&self, _number: usize) -> Result<Asker, Fault> {
        Ok(Asker {
            client: Client::new(self.leader.clone()),
            watcher: None,
        })
    }
}

/// A worker. All share one connection, as the callers of our gate do.
#[derive(Debug)]
pub(crate) struct Asker {
    client: Client,
    /// Opened when it waits for the first time.
    watcher: Option<Watcher>,
}

/// A key, and the value that says that it is this attempt's.
#[derive(Debug)]
pub(crate) struct Attempt {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// A key that is held, with the revision that its holder wrote.
#[derive(Debug)]
pub(crate) struct Held {
    key: Vec<u8>,
    revision: i64,
}

impl Worker for Asker {
    type Attempt = Attempt;
    type Permit = Held;

    fn attempt(&self, key: &str, number: u64) -> Attempt {
        Attempt {
            key: key.as_bytes().to_vec(),
            value: value(number),
        }
    }

    async fn claim(&mut self, attempt: &Attempt) -> Result<Claim<Held>, NoAnswer> {
        let key = attempt.key.clone();
        let answer = self
            .client
            .txn(Txn {
                compare: vec![Compare::created_at(key.clone(), 0)],
                success: vec![RequestOp::put(key.clone(), attempt.value.clone())],
                failure: vec![RequestOp::range(Range::of(key.clone()))],
            })
            .await?;
        let mine = match answer.found() {
            _ if answer.succeeded => Some(answer.revision()),
            Some(found) if found.value == attempt.value => Some(found.mod_revision),
            _ => None,
        };
        Ok(mine.map_or(Claim::Held, |revision| {
            Claim::Granted(Held { key, revision })
        }))
    }

    fn set_aside(_permit: Held) {}

    async fn give_back(&mut self, permit: Held) -> Result<(), NoAnswer> {
        let delete = RequestOp::delete(permit.key.clone());
        self.step(&permit, delete).await.map(drop)
    }

    async fn fulfil(&mut self, permit: Held) -> Result<(), NoAnswer> {
        let put = RequestOp::put(permit.key.clone(), b"redeemed".to_vec());
        let revision = self.step(&permit, put).await?;
        let delete = RequestOp::delete(permit.key.clone());
        let redeemed = Held { revision, ..permit };
        self.step(&redeemed, delete).await.map(drop)
    }

    async fn hand_over(&mut self, attempt: &Attempt, inside: &Inside) -> Result<(), NoAnswer> {
        let prefix = [attempt.key.as_slice(), b"/"].concat();
        let key = [prefix.as_slice(), attempt.value.as_slice()].concat();
        let answer = self
            .client
            .txn(Txn {
                compare: Vec::new(),
                success: vec![
                    RequestOp::put(key.clone(), attempt.value.clone()),
                    RequestOp::range(Range::oldest_under(&prefix)),
                ],
                failure: Vec::new(),
            })
            .await?;
        let created_at = answer.revision();
        let mut is_first = answer.found().is_some_and(|first| first.key == key);
        while !is_first {
            let before = Range::newest_under_before(&prefix, created_at);
            let answer = self.client.range(before).await?;
            match answer.kvs.into_iter().next() {
                Some(before) => self.until_deleted(before.key).await?,
                None => is_first = true,
            }
        }
        drop(inside.enter());
        let mine = Held {
            key,
            revision: created_at,
        };
        self.give_back(mine).await
    }
}

impl Asker {
    /// Does `operation` if the key is still as its holder left it; gives the new revision.
    async fn step(&mut self, permit: &Held, operation: RequestOp) -> Result<i64, NoAnswer> {
        let answer = self
            .client
            .txn(Txn {
                compare: vec![Compare::written_at(permit.key.clone(), permit.revision)],
                success: vec![operation],
                failure: Vec::new(),
            })
            .await?;
        if answer.succeeded {
            Ok(answer.revision())
        } else {
            Err(NoAnswer("the key is another one's".to_owned()))
        }
    }

    /// Waits until `key` is gone. The watch begins now, and then the key is read again: one that begins at
    /// an earlier revision has to catch up, which etcd does every 100 ms.
    async fn until_deleted(&mut self, key: Vec<u8>) -> Result<(), NoAnswer> {
        let mut watcher = match self.watcher.take() {
            Some(mut watcher) => {
                watcher.watch(key.clone()).await?;
                watcher
            }
            None => self.client.watcher(key.clone()).await?,
        };
        watcher.begun().await?;
        if !self.client.range(Range::of(key)).await?.kvs.is_empty() {
            watcher.deleted().await?;
        }
        watcher.end().await?;
        self.watcher = Some(watcher);
        Ok(())
    }
}
