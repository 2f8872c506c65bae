//! Which rules are taken out, and that nothing else is.

use super::*;
use crate::rules::hba_file::HbaFile;
use clap::Parser;

fn request(words: &[&str]) -> Request {
    let all = ["pg-conf", "disallow"].iter().chain(words);
    let crate::args::Command::Disallow(arguments) = crate::Arguments::parse_from(all).command else { unreachable!() };
    Request::of(&arguments, 15).unwrap()
}

#[test]
fn takes_out_what_allow_writes_whatever_its_method_and_nothing_else() {
    let text = "host replication r 10.0.0.0/8 md5 # ours\nhost replication r,s 10.0.0.0/8 md5\nhost all r 10.0.0.0/8 md5\n\
        host replication r 10.0.0.0/9 md5\nhostssl replication r 10.0.0.0/8 md5\nhost replication r 10.0.0.0 255.0.0.0 trust\n";
    let mut file = HbaFile::parse(text.as_bytes(), 15);
    let removed = remove(&mut file, &request(&["r", "--from", "10.0.0.0/8"])).unwrap();
    let lines: Vec<usize> = removed.iter().map(|(_, line)| *line).collect();
    assert_eq!(lines, [1, 6]);
    let kept: Vec<&str> = text.lines().enumerate().filter(|(i, _)| ![0, 5].contains(i)).map(|(_, line)| line).collect();
    assert_eq!(file.to_bytes(), (kept.join("\n") + "\n").as_bytes());
    assert!(remove(&mut file, &request(&["r", "--from", "10.0.0.0/8"])).unwrap().is_empty());
}

#[test]
fn undoes_allow_to_the_byte() {
    for text in ["local all all peer", "local all all peer\r\n", "# only this\n", ""] {
        let mut file = HbaFile::parse(text.as_bytes(), 15);
        let request = request(&["r", "--from", "10.0.0.1"]);
        file.append(&request.line(request.origins[0].as_ref()).unwrap());
        assert_eq!(remove(&mut file, &request).unwrap().len(), 1);
        assert_eq!(file.to_bytes(), text.as_bytes());
    }
}
