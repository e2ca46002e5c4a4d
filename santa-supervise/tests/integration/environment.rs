//! Variables from files, and secrets that are mounted.

use std::fs;

use crate::support::House;

#[test]
fn files_of_variables_and_secrets_are_read_at_each_start() {
    let house = House::new("linux");
    fs::write(house.path("vars"), "# two\nA=$one %s\nB=\"two\"\nC=lost\n").expect("vars");
    fs::write(house.path("key"), "s3cret'\"$A\n\n").expect("key");
    let mut house = house
        .service(
            "app",
            &["variable A {dir}/a", "variable B {dir}/b", "variable C {dir}/c", "variable KEY {dir}/k", "print up", "forever"],
            "env_files = [\"{dir}/vars\"]\nsecrets = { KEY = \"{dir}/key\" }\nenv = { C = \"won\" }\nready = { kind = \"log\", pattern = \"up\" }",
        )
        .replacing_dir()
        .start();
    house.wait_for_state("app", "ready");
    let seen = || ["a", "b", "c", "k"].map(|name| house.read(name));
    assert_eq!(seen(), ["$one %s", "two", "won", "s3cret'\"$A"]);
    fs::write(house.path("key"), "changed").expect("key");
    house.ctl_ok(&["restart", "app"]);
    assert_eq!(house.read("k"), "changed");
    assert_eq!(house.stop(), 0);
    assert!(!house.log().contains("s3cret"), "no secret is logged");
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_its_content_is_not() {
    let house = House::new("linux");
    fs::write(house.path("vars"), "A=1\ns3cret without a name\n").expect("vars");
    let mut house = house
        .service("app", &["forever"], "env_files = [\"{dir}/vars\"]")
        .service("other", &["forever"], "secrets = { KEY = \"{dir}/missing\" }")
        .start();
    house.wait_for_state("app", "failed");
    house.wait_for_state("other", "failed");
    let why = |name: &str| house.service_status(name)["why"].as_str().expect("why").to_owned();
    assert!(why("app").contains("env_files: ") && why("app").contains("line 2"), "{}", why("app"));
    let problem = why("other");
    assert!(problem.contains("secrets.KEY: ") && problem.contains("is it mounted"), "{problem}");
    assert_eq!(house.stop(), 0);
    assert!(!house.log().contains("s3cret"));
}
