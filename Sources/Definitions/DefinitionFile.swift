import FoundationEssentials
import Yams

/// One YAML file of the folder, read and handed to a reader of its content.
enum DefinitionFile {
  /// Larger files are refused: a definition is written by people.
  static let byteCountMax = 1 << 20

  /// - Returns: what `read` made of the file, or nil; and every problem found.
  static func read<Value>(
    folder: String, name: String, keys: [String], _ read: (Section) -> Value?
  ) -> (value: Value?, problems: [Problem]) {
    let file = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
    let problems = ProblemList(file: file)
    guard let text = text(of: file, problems) else { return (nil, problems.problems) }
    return parse(text, keys, problems, read)
  }

  /// Reads a text that is in no file.
  ///
  /// - Parameter name: what problems call it.
  static func parse<Value>(
    _ text: String, as name: String, keys: [String], _ read: (Section) -> Value?
  ) -> (value: Value?, problems: [Problem]) {
    parse(text, keys, ProblemList(file: name), read)
  }

  private static func parse<Value>(
    _ text: String, _ keys: [String], _ problems: ProblemList, _ read: (Section) -> Value?
  ) -> (value: Value?, problems: [Problem]) {
    guard let root = root(of: text, problems),
      let section = Section(root, key: "", keys: keys, problems: problems)
    else { return (nil, problems.problems) }
    let value = read(section)
    return (problems.problems.isEmpty ? value : nil, problems.problems)
  }

  private static func text(of file: String, _ problems: ProblemList) -> String? {
    let data: Data
    do {
      data = try Data(contentsOf: URL(filePath: file))
    } catch {
      problems.add(
        line: 0, what: "cannot be read", allowed: "a file that this user may read",
        fix: "name the folder that has it with --streams, or restore it from the repository")
      return nil
    }
    guard data.count <= byteCountMax else {
      problems.add(
        line: 0, what: "has \(data.count) bytes", allowed: "at most \(byteCountMax)",
        fix: "name the right file")
      return nil
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      problems.add(line: 0, what: "is not UTF-8", allowed: "UTF-8", fix: "save it as UTF-8")
      return nil
    }
    return text
  }

  private static func root(of text: String, _ problems: ProblemList) -> Node? {
    do {
      guard let root = try compose(yaml: text) else {
        problems.add(
          line: 0, what: "is empty", allowed: "a mapping",
          fix: "restore it from the repository")
        return nil
      }
      return root
    } catch let error as YamlError {
      add(error, to: problems)
    } catch {
      problems.add(
        line: 0, what: "is not YAML: \(error)", allowed: "YAML 1.2", fix: "correct it")
    }
    return nil
  }

  private static func add(_ error: YamlError, to problems: ProblemList) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      problems.add(
        line: mark.line, what: "is not YAML: \(problem)", allowed: "YAML 1.2",
        fix: "look at this line and the one before it for indentation, quotes and colons")
    case .duplicatedKeysInMapping(let duplicates, let context):
      problems.add(
        line: context.mark.line,
        what: "a mapping here has \(duplicates.sorted().joined(separator: ", ")) more than once",
        allowed: "each name once", fix: "remove all but one")
    default:
      problems.add(
        line: 0, what: "is not YAML: \(error)", allowed: "YAML 1.2", fix: "correct it")
    }
  }
}
