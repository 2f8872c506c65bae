//! Starting, stopping, restarting, reloading and promoting real servers.
use tests::{Sandbox, on_each_major};
on_each_major!(start_and_stop_change_something_once);
fn start_and_stop_change_something_once(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.tool("start").run().success().expect_changed(false);
    assert_eq!(cluster.sql("SELECT 1"), "1");
    cluster.tool("stop").run().success().expect_changed(true);
    cluster.tool("stop").run().success().expect_changed(false);
}
