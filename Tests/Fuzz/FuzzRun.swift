import Foundation
import FuzzTargets

/// The one target that this process fuzzes: that of `FUZZ_TARGET`. With `FUZZ_FOLDER` it writes the target's
/// seeds and words there and ends; without a target it names all. See `Scripts/fuzz`.
enum FuzzRun {
  private static let environment = ProcessInfo.processInfo.environment

  private static let target: FuzzTarget = {
    guard let name = environment["FUZZ_TARGET"], let target = FuzzCatalog.target(name) else {
      for target in FuzzCatalog.all { print(target.name) }
      exit(0)
    }
    return target
  }()

  static func prepare() {
    let target = target
    guard let folder = environment["FUZZ_FOLDER"] else { return }
    do {
      let corpus = URL(fileURLWithPath: folder).appendingPathComponent("corpus")
      try FileManager.default.createDirectory(at: corpus, withIntermediateDirectories: true)
      for (index, seed) in (target.seeds + target.regressions).enumerated() {
        try Data(seed).write(to: corpus.appendingPathComponent("seed-\(index)"))
      }
      let words = target.words.map { word in
        "\"" + word.utf8.map { String(format: "\\x%02x", $0) }.joined() + "\"\n"
      }
      try Data(words.joined().utf8).write(
        to: URL(fileURLWithPath: folder).appendingPathComponent("words"))
    } catch {
      print("the seeds cannot be written to \(folder): \(error)")
      exit(1)
    }
    exit(0)
  }

  static func run(_ input: UnsafeRawBufferPointer) {
    do throws(BrokenLaw) {
      try target.run(input)
    } catch {
      fatalError("\(target.name): not true: \(error)")
    }
  }
}
