import Events
import Testing

@Suite("User agents")
struct AgentTests {
  @Test(
    "A user agent is reduced to what is used, and programs stay recognisable",
    arguments: [
      (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.57 Safari/537.36",
        "Chrome 126/Windows/desktop"
      ),
      (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.56",
        "Edge 126/Windows/desktop"
      ),
      (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        "Safari 17/iOS/mobile"
      ),
      (
        "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "Chrome 126/Android/tablet"
      ),
      (
        "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
        "Firefox 127/Linux/desktop"
      ),
      (
        "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko",
        "Internet Explorer 11/Windows/desktop"
      ),
      (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
        "Chrome 126/Linux/desktop/HeadlessChrome"
      ),
      (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Googlebot 2/other/bot/Googlebot"
      ),
      ("python-requests/2.31.0", "python-requests 2/other/other/python-requests"),
      ("Mozilla/5.0", "Mozilla 5/other/other/bare"),
      ("", "other/other/other/none"),
      (
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "Firefox 11/Windows/desktop/ggpht.com,GoogleImageProxy"
      ),
      (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0; +https://openai.com/bot)",
        "WebKit/other/other/ChatGPT-User"
      ),
      (
        "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
        "Chrome 126/Android/mobile"
      ),
      (
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Google-InspectionTool/1.0;)",
        "Chrome 126/Android/mobile/Google-InspectionTool"
      ),
      (
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; SLCC2; .NET CLR 2.0.50727; GTB7.5; AskTbORJ/5.15)",
        "Internet Explorer 8/Windows/desktop"
      ),
      (
        "Mozilla/5.0 (Linux; U; Android 9; en-us; Redmi Note 8 Build/PKQ1.190616.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36",
        "Chrome 126/Android/mobile"
      ),
      (
        "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
        "Safari 13/other/other"
      ),
      ("AbbottApp/3.1 (Ada Lovelace)", "AbbottApp 3/other/other/AbbottApp"),
      ("Acme/1 (contact: ada@example.org)", "Acme 1/other/other/Acme"),
      ("AcmeBot/1.0", "AcmeBot 1/other/bot/AcmeBot"),
      ("Somebody-1234567890/1", "other/other/other"),
      ("ada@example.org", "other/other/other"),
      ("curl/8 ada@example.org (mail ada.bot@example.org)", "curl 8/other/other/curl"),
    ])
  func reduced(_ userAgent: String, _ label: String) throws {
    let agent = Agent(userAgent)
    #expect(agent.label == label)
    #expect(try #require(Agent(label: label)) == agent)
    #expect(Agent(label) == agent)
    #expect(Agent(agent.summary).summary == agent.summary)
  }
}
