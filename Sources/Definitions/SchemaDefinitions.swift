import Events
import FoundationEssentials

/// Reads `Streams/schemas/*.json`. A folder that is not there has no schemas.
enum SchemaDefinitions {
  static let folderName = "schemas"

  static func read(folder: String) -> (value: EventSchemas?, problems: [Problem]) {
    let place = folder.hasSuffix("/") ? folder + folderName : "\(folder)/\(folderName)"
    var problems: [Problem] = []
    var schemas: [(file: String, schema: EventSchema)] = []
    for file in files(place, &problems) {
      guard let bytes = bytes(of: file, &problems) else { continue }
      let name = String((file.split(separator: "/").last ?? "").dropLast(".json".count))
      let (schema, found) = EventSchema.read(bytes, named: name)
      problems += found.map { problem(file, $0) }
      if let schema { schemas.append((file, schema)) }
    }
    for (index, found) in EventSchemas.problems(of: schemas.map(\.schema)) {
      problems.append(problem(schemas[index].file, found))
    }
    return (problems.isEmpty ? EventSchemas(schemas.map(\.schema)) : nil, problems)
  }

  private static func files(_ place: String, _ problems: inout [Problem]) -> [String] {
    guard FileManager.default.fileExists(atPath: place) else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: place).filter {
        $0.hasSuffix(".json")
      }.sorted().map { "\(place)/\($0)" }
    } catch {
      problems.append(
        Problem(
          file: place, what: "cannot be read", allowed: "a folder that this user may read",
          fix: "correct its rights"))
      return []
    }
  }

  private static func bytes(of file: String, _ problems: inout [Problem]) -> [UInt8]? {
    do {
      let data = try Data(contentsOf: URL(filePath: file))
      guard data.count <= DefinitionFile.byteCountMax else {
        problems.append(
          Problem(
            file: file, what: "has \(data.count) bytes",
            allowed: "at most \(DefinitionFile.byteCountMax)", fix: "name the right file"))
        return nil
      }
      return Array(data)
    } catch {
      problems.append(
        Problem(
          file: file, what: "cannot be read", allowed: "a file that this user may read",
          fix: "correct its rights"))
      return nil
    }
  }

  private static func problem(_ file: String, _ found: SchemaProblem) -> Problem {
    Problem(
      file: file, key: found.pointer, what: found.what, allowed: found.allowed, fix: found.fix)
  }
}
