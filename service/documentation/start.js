// The bundle before this script defines it.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, layout: "BaseLayout" });
