import Foundation

/// Resident memory of this process.
enum ResidentMemory {
  static func bytes() -> Int {
    var pages = 0
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 128)
    guard fgets(&text, 128, file) != nil else { return 0 }
    let fields = String(decoding: text.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self)
      .split(separator: " ")
    if fields.count > 1 { pages = Int(fields[1]) ?? 0 }
    return pages * Int(getpagesize())
  }
}
