// SPDX-License-Identifier: MIT
//! batch SERVER ARGS...: starts the server (words in one argument), then `connect ARGS` beside it; waits for both.
use std::{
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};
use workloads_tokio::Result;

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let line = args.next().ok_or("usage: batch SERVER ARGS...")?;
    let mut words = line.split_whitespace();
    let mut server = Command::new(words.next().ok_or("no server")?).args(words).stdout(Stdio::piped()).spawn()?;
    let mut says = BufReader::new(server.stdout.take().ok_or("no pipe")?);
    let mut first = String::new();
    says.read_line(&mut first)?;
    print!("server: {first}");
    let hears = std::thread::spawn(move || {
        for line in says.lines().map_while(|l| l.ok()) {
            println!("server: {line}");
        }
    });
    let mut client = Command::new(std::env::current_exe()?.with_file_name("connect")).args(args).spawn()?;
    let ended = client.wait()?;
    let served = server.wait()?;
    hears.join().map_err(|_| "the reading thread panicked")?;
    println!("client: {ended}, server: {served}");
    Ok(if ended.success() && served.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
