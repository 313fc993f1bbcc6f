import Foundation
import Synchronization

/// The files of this repository, as the tests of its tidiness read them.
enum Repository {
  /// The folder with Package.swift.
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  struct File: Sendable, CustomStringConvertible {
    /// From the root, such as `Sources/Events/Position.swift`.
    let path: String
    let text: String

    var name: String { String(path.split(separator: "/").last ?? "") }
    var folder: String { String(path.split(separator: "/").dropLast().joined(separator: "/")) }
    /// See ``SwiftSource/code(_:)``; for files of Swift, worked out once.
    var code: String { Repository.code(of: self) }
    /// The words of the code: maximal runs of letters, digits and underscores.
    var words: Set<Substring> {
      Set(code.split { !($0.isLetter || $0.isNumber || $0 == "_") })
    }
    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    var description: String { path }
  }

  private static let codes = Mutex<[String: String]>([:])

  private static func code(of file: File) -> String {
    if let known = codes.withLock({ $0[file.path] }) { return known }
    let code = SwiftSource.code(file.text)
    codes.withLock { $0[file.path] = code }
    return code
  }

  static func read(_ path: String) throws -> File {
    File(path: path, text: try String(contentsOf: root.appending(path: path), encoding: .utf8))
  }

  static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appending(path: path).path)
  }

  /// All files below `folder` whose name ends so, in order of path; hidden ones left out.
  static func files(below folder: String, ending: String...) throws -> [File] {
    let start = root.appending(path: folder)
    guard
      let walk = FileManager.default.enumerator(
        at: start, includingPropertiesForKeys: [.isRegularFileKey], options: [.skipsHiddenFiles])
    else { return [] }
    var files: [File] = []
    let prefix = root.path + "/"
    for case let url as URL in walk where ending.contains(where: url.path.hasSuffix) {
      guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else {
        continue
      }
      files.append(try read(String(url.path.dropFirst(prefix.count))))
    }
    return files.sorted { $0.path < $1.path }
  }

  /// The names of the folders in `folder`.
  static func folders(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(
      at: root.appending(path: folder), includingPropertiesForKeys: [.isDirectoryKey],
      options: [.skipsHiddenFiles]
    ).filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }
      .map(\.lastPathComponent).sorted()
  }
}
