// Checks the partner's signature, renames the fields of its body, and passes the request on.
const http = require("node:http");
const crypto = require("node:crypto");
const [port, upstream] = process.argv.slice(2).map(Number);
const KEY = "demo-partner-key", SECRET = "demo-partner-secret";
const NAMES = {
  email: "mail", firstName: "given_name", lastName: "family_name", dateOfBirth: "birth_date",
  addressLine1: "address_1", addressLine2: "address_2", city: "town", postalCode: "postal_code",
  province: "region", country: "country_code", occupation: "job", isCiroAffiliate: "ciro",
};
const agent = new http.Agent({ keepAlive: true, maxSockets: 128 });

function refuse(res, status) {
  res.writeHead(status, { "content-length": 0 });
  res.end();
}

http.createServer((req, res) => {
  const chunks = [];
  req.on("data", (chunk) => chunks.push(chunk));
  req.on("end", () => {
    let body = Buffer.concat(chunks);
    const stamp = req.headers["x-request-timestamp"];
    if (req.headers["x-api-key"] !== KEY || Math.abs(Date.now() - Date.parse(stamp)) > 60000) return refuse(res, 401);
    const mac = crypto.createHmac("sha256", SECRET).update(`${req.method}\n${req.url}\n${stamp}\n`).update(body);
    const given = Buffer.from(req.headers["x-request-signature"] ?? "", "hex"), own = mac.digest();
    if (given.length !== own.length || !crypto.timingSafeEqual(given, own)) return refuse(res, 401);
    if (body.length) {
      const renamed = {};
      for (const [name, value] of Object.entries(JSON.parse(body))) {
        if (!NAMES[name]) return refuse(res, 400);
        renamed[NAMES[name]] = value;
      }
      body = Buffer.from(JSON.stringify(renamed));
    }
    const options = {
      agent, port: upstream, host: "127.0.0.1", method: req.method, path: req.url,
      headers: { host: "upstream", "content-type": "application/json", "content-length": body.length },
    };
    const passed = http.request(options, (answer) => {
      res.writeHead(answer.statusCode, { "content-type": answer.headers["content-type"], "content-length": answer.headers["content-length"] });
      answer.pipe(res);
    });
    passed.on("error", () => refuse(res, 502));
    passed.end(body);
  });
}).listen(port, "127.0.0.1");
