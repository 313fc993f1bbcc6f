import Events
import FoundationEssentials
import Testing

@testable import Definitions

@Suite("Schemas of the folder")
struct SchemaDefinitionsTests {
  private func fixture(_ files: [String: String]) throws -> Fixture {
    let fixture = try Fixture()
    try FileManager.default.createDirectory(
      atPath: fixture.folder + "/schemas", withIntermediateDirectories: true)
    for (name, text) in files { try fixture.write("schemas/\(name)", text) }
    return fixture
  }

  @Test("the repository's own schemas can be read")
  func original() throws {
    let schemas = try Definitions(folder: Fixture.original).schemas
    #expect(schemas.versions(of: "Order Completed", .conversion)?.all.count == 1)
  }

  @Test("a folder without schemas has none, and other files are passed over")
  func none() throws {
    let plain = try Fixture()
    #expect(try Definitions(folder: plain.folder).schemas.isEmpty)
    let fixture = try fixture(["README.md": "no schema"])
    #expect(try Definitions(folder: fixture.folder).schemas.isEmpty)
  }

  @Test("what is wrong is named by its file and its place in it")
  func problems() throws {
    let fixture = try fixture([
      "a.json": #"{"x-event":"E","properties":{"p":{"uniqueItems":true}}}"#, "b.json": "{",
      "c.v1.json": #"{"x-event":"F"}"#, "c.v2.json": #"{"x-event":"F"}"#,
    ])
    let problems = Definitions.check(folder: fixture.folder)
    #expect(
      problems.map { "\($0.file.split(separator: "/").last ?? "") \($0.key)" }
        == ["a.json /properties/p/uniqueItems", "b.json ", "c.v2.json /x-upcast"])
    #expect(
      problems.first?.description.contains(
        "/properties/p/uniqueItems is a keyword that is not supported; allowed: type, const")
        == true)
  }
}
