import ArgumentParser
import FoundationEssentials
import HTTPServer

/// Ranges of addresses from which no people come.
struct DataCenterOption: ParsableArguments {
  static let variable = "SMARTCONTENT_DATA_CENTERS"

  @Option(
    help: ArgumentHelp(
      "File of the address ranges of data centres, one a line such as 203.0.113.0/24; events of browsers from there"
        + " get the reason data-center [env \(variable)]. None by default.", valueName: "file"))
  var dataCenters: String?

  func ranges() throws -> AddressRanges {
    guard let path = dataCenters ?? Environment[Self.variable] else { return AddressRanges() }
    let text: String
    do {
      text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    } catch {
      throw ValidationError("--data-centers: \(path) cannot be read; name a file that can be")
    }
    do {
      return try AddressRanges(text)
    } catch {
      throw ValidationError("--data-centers: \(path): \(error)")
    }
  }
}
