import ArgumentParser
import Collector

/// Where a collector keeps frames while the log is away.
struct SpoolPlace: Sendable {
  var folder: String
  var bytesMax: Int
}

/// The collector's spool, off by default; `dev` has one.
struct SpoolOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Folder on a disk of this machine for frames that the log does not take; then events are"
        + " acknowledged while the log is away. Collectors of one machine may share it. None by default:"
        + " clients get 503 [env SMARTCONTENT_SPOOL].", valueName: "folder"))
  var spool: String?

  @Option(
    help: ArgumentHelp(
      "The size in bytes of each collector's spool at most; beyond it clients get 503. 1073741824 by default"
        + " [env SMARTCONTENT_SPOOL_BYTES].", valueName: "bytes"))
  var spoolBytes: Int?

  /// Nil where there is to be none.
  func place() throws -> SpoolPlace? {
    guard let folder = spool ?? Environment["SMARTCONTENT_SPOOL"] else {
      if spoolBytes != nil {
        throw ValidationError("--spool-bytes needs the spool's folder: give --spool")
      }
      return nil
    }
    var bytesMax = spoolBytes
    if bytesMax == nil, let text = Environment["SMARTCONTENT_SPOOL_BYTES"] {
      bytesMax = Int(text)
      if bytesMax == nil { throw ValidationError("SMARTCONTENT_SPOOL_BYTES is no number of bytes") }
    }
    let bytes = bytesMax ?? Spool.bytesMaxDefault
    guard Spool.bytesMaxRange.contains(bytes) else {
      throw ValidationError("\(SpoolError.bytesMax(value: bytes, allowed: Spool.bytesMaxRange))")
    }
    return SpoolPlace(folder: folder, bytesMax: bytes)
  }
}
