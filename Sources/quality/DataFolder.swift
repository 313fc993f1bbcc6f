import Foundation

/// A folder of data sets, read by listing it.
struct DataFolder {
  let path: String
  /// Paths of all files below it, in order, so that figures do not hang on the order of a disk.
  let files: [String]

  init(_ path: String) throws {
    self.path = path
    // A folder that is itself a link is not walked otherwise.
    let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    guard let walk = FileManager.default.enumerator(atPath: real) else {
      throw QualityError("no folder at \(path): give one with --data DIR")
    }
    let names = walk.compactMap { $0 as? String }
    files = names.sorted().map { path + "/" + $0 }
    guard !files.isEmpty else {
      throw QualityError("\(path) is empty: give a folder of data sets with --data DIR")
    }
  }

  func files(ending: String) -> [String] { files.filter { $0.hasSuffix(ending) } }

  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  }
}
