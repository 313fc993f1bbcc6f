import FileSnapshots
import Foundation
import Ports
import Testing

@Suite struct FileSnapshotStoreTests {
  @Test("Blobs outlive their store, and what a crash left half written is removed")
  func reopened() throws {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "snapshots-\(UUID().uuidString)/default/events-00")
    defer {
      do {
        try FileManager.default.removeItem(
          at: folder.deletingLastPathComponent().deletingLastPathComponent())
      } catch {
        Issue.record(error)
      }
    }
    let first = try FileSnapshotStore(folder: folder.path)
    try first.write("b", [1, 2, 3])
    try first.write("a", [])
    try first.write("b", [4])
    try Data([5]).write(to: folder.appending(path: "c.tmp"))
    #expect(try first.names() == ["a", "b"])

    let second = try FileSnapshotStore(folder: folder.path)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["a", "b"])
    #expect(try second.read("b") == [4])
    #expect(try second.read("a") == [])
    #expect(try second.read("c") == nil)
    try second.remove("a")
    try second.remove("a")
    #expect(try second.names() == ["b"])
  }

  @Test("Processes that share a folder have a part each, and take over parts that were given back")
  func parts() throws {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "snapshots-\(UUID().uuidString)")
    defer {
      do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
    }
    var first: FileSnapshotStore? = try .part(of: folder.path)
    let second = try FileSnapshotStore.part(of: folder.path)
    try first?.write("a", [1])
    try second.write("a", [2])
    #expect(try first?.read("a") == [1] && second.read("a") == [2])
    first = nil
    let third = try FileSnapshotStore.part(of: folder.path)
    #expect(try third.read("a") == [1])
    #expect(try second.names() == ["a"])
  }
}
